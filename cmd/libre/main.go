// Command libre builds the container images of a catalogue of web applications.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/libresh/libre/internal/cli"
	"github.com/libresh/libre/internal/ui"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() {
		<-ctx.Done()
		stop() // a second Ctrl-C ends libre at once
	}()
	os.Exit(cli.Main(ctx, os.Args[1:], ui.Detect(os.Stdout, os.Stderr, os.Getenv)))
}
