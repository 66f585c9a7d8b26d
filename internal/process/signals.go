package process

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// Interruptible gives a context that ends with the first signal that asks this program
// to end: an interrupt, SIGTERM, or SIGHUP where it is not ignored, as below nohup. A
// second one ends the program at once.
func Interruptible(parent context.Context) (ctx context.Context, stop func()) {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, stop = signal.NotifyContext(parent, signals...)
	go func() {
		<-ctx.Done()
		stop()
	}()
	return ctx, stop
}
