// Command libre builds the container images of a catalogue of web applications.
package main

import (
	"context"
	"os"

	"github.com/libresh/libre/internal/cli"
	"github.com/libresh/libre/internal/process"
	"github.com/libresh/libre/internal/ui"
)

func main() {
	process.CollectSeldom()
	ctx, stop := process.Interruptible(context.Background())
	defer stop()
	os.Exit(cli.Main(ctx, os.Args[1:], ui.Detect(os.Stdout, os.Stderr, os.Getenv)))
}
