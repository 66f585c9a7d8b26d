// Command libre-inspect lists what is recognised in the files of images; libre
// starts it and talks to it by standard input and output.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/libresh/libre/internal/sbom/files"
)

func main() {
	if err := files.Serve(context.Background(), os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "libre-inspect:", err)
		os.Exit(1)
	}
}
