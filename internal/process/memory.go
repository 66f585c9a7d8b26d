package process

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

const (
	// leastLimit is the memory, in bytes, within which garbage is collected seldom. Making and
	// sending an image of any size needs little more.
	leastLimit = 64 << 20
	// forCollecting is what the limit has, in bytes, for the garbage collector itself.
	forCollecting = 8 << 20
)

// CollectSeldom makes the garbage collector run less often than usual, until the program has much
// memory: most runs are short and keep little. From then on the heap stays below about twice what
// is in use. GOGC and GOMEMLIMIT in the environment have the last word.
func CollectSeldom() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(leastLimit)
		followUse()
	}
}

// followUse sets the limit anew after each collection. A limit that stays below what is in use
// would take half of the CPU time for collecting.
func followUse() {
	collected := &struct{ _ *int }{} // with a pointer, so that it shares no memory with others
	runtime.AddCleanup(collected, func(struct{}) {
		inUse := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
		metrics.Read(inUse)
		heap, stacks := int64(inUse[0].Value.Uint64()), int64(inUse[1].Value.Uint64())
		debug.SetMemoryLimit(max(leastLimit, 2*heap+stacks+forCollecting))
		followUse()
	}, struct{}{})
}
