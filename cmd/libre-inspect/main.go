// Command libre-inspect finds packages in the files of images, and the known
// vulnerabilities of packages. libre starts it and talks to it by standard input and output.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/libresh/libre/internal/inspect"
	"github.com/libresh/libre/internal/sbom/files"
	"github.com/libresh/libre/internal/scan/match"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, inspect.Program+":", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 1 && args[0] == inspect.Packages:
		return files.Serve(context.Background(), os.Stdin, os.Stdout)
	case len(args) == 1 && args[0] == inspect.Vulnerabilities:
		return match.Serve(context.Background(), os.Stdin, os.Stdout)
	}
	return fmt.Errorf("libre starts this program with one argument, %s or %s", inspect.Packages, inspect.Vulnerabilities)
}
