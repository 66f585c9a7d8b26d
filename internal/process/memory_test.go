package process

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

func TestEnvironmentSetsTheLimitOfMemory(t *testing.T) {
	t.Setenv("GOGC", "100")
	t.Setenv("GOMEMLIMIT", "1GiB")
	before := debug.SetMemoryLimit(-1)
	CollectSeldom()
	if now := debug.SetMemoryLimit(-1); now != before {
		t.Errorf("the limit was changed from %d to %d bytes", before, now)
	}
}

func TestLimitOfMemoryFollowsWhatIsInUse(t *testing.T) {
	t.Setenv("GOGC", "")
	t.Setenv("GOMEMLIMIT", "")
	percent, limit := debug.SetGCPercent(100), debug.SetMemoryLimit(-1)
	t.Cleanup(func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	})
	CollectSeldom()
	reaches := func(isReached func(limit int64) bool) {
		t.Helper()
		for range 100 {
			runtime.GC()
			if isReached(debug.SetMemoryLimit(-1)) {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
		t.Errorf("the limit is %d bytes", debug.SetMemoryLimit(-1))
	}
	const large = 200 << 20
	used := make([]byte, large)
	reaches(func(limit int64) bool { return limit >= 2*large })
	runtime.KeepAlive(used)
	reaches(func(limit int64) bool { return limit == leastLimit })
	end := make(chan struct{})
	for range large / (64 << 10) {
		go func() { withStack(end) }()
	}
	reaches(func(limit int64) bool { return limit >= large })
	close(end)
}

// withStack needs a stack of more than 32 KiB until end is closed, so it gets one of 64 KiB.
func withStack(end chan struct{}) {
	var used [33 << 10]byte
	<-end
	runtime.KeepAlive(&used)
}
