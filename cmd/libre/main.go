// Command libre builds the container images of a catalogue of web applications.
package main

import (
	"context"
	"os"
	"runtime/debug"

	"github.com/libresh/libre/internal/cli"
	"github.com/libresh/libre/internal/process"
	"github.com/libresh/libre/internal/ui"
)

func main() {
	// Most runs are short and keep little: collecting garbage less often saves more
	// time than it takes memory. GOGC in the environment has the last word.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	ctx, stop := process.Interruptible(context.Background())
	defer stop()
	os.Exit(cli.Main(ctx, os.Args[1:], ui.Detect(os.Stdout, os.Stderr, os.Getenv)))
}
