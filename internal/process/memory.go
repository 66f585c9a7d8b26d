package process

import (
	"os"
	"runtime/debug"
)

// memoryLimit is the size of the heap, in bytes, above which garbage is collected as often as at
// most half of the CPU time allows. Building and pushing images keeps far less.
const memoryLimit = 208 << 20

// CollectSeldom makes the garbage collector run less often than usual, until the program has much
// memory. Most runs are short and keep little, so this saves more time than it takes memory. GOGC
// and GOMEMLIMIT in the environment have the last word.
func CollectSeldom() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
}
