package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/oci/layout"
	"github.com/libresh/libre/internal/run/engine"
)

// debugVariant has the images with tools.
const debugVariant = "debug"

func (e *env) shellCommand() *cobra.Command {
	by := ""
	cmd := &cobra.Command{
		Use:   "shell APP/COMPONENT",
		Short: "Open a shell in an image's debug variant",
		Long: `Open a shell in the debug variant of an image of the catalogue, which is the
image with tools such as a shell. It must be built. The container has no rights,
and its root file system is read-only, as when the app runs. What you write into
the folders that the program may write to is lost at the end.

If stdin is not a terminal, the shell reads commands from it.`,
		Example: "  libre shell docs/backend\n  echo 'ls -l /' | libre shell guestbook/backend",
		Args:    takes(1, 1),
		RunE:    func(cmd *cobra.Command, args []string) error { return e.runShell(cmd.Context(), by, args[0]) },

		ValidArgsFunction: e.completeOne(2),
	}
	addEngineFlag(cmd, &by)
	return cmd
}

func addEngineFlag(cmd *cobra.Command, by *string) {
	cmd.Flags().StringVar(by, "engine", "", "run containers by `ENGINE`: "+strings.Join(engine.Names, ", ")+" (default: the first that works)")
}

func (e *env) runShell(ctx context.Context, by, word string) error {
	app, component, _ := strings.Cut(word, "/")
	component = strings.TrimSuffix(component, "/"+debugVariant)
	if component == "" || strings.ContainsAny(component, "/*?") {
		return usageError{fmt.Errorf("%s is not a component: give APP/COMPONENT, such as docs/backend", word)}
	}
	by, err := engine.Find(ctx, by)
	if err != nil {
		return err
	}
	document, ws, err := e.catalogueApplication(ctx, "shell", []string{app + "/*/" + debugVariant})
	if err != nil {
		return err
	}
	c, known := document.Spec.Components[component]
	switch {
	case !known:
		return usageError{fmt.Errorf("%s has no component %s, expected one of: %s", app, component, strings.Join(slices.Sorted(maps.Keys(document.Spec.Components)), ", "))}
	case c.Image == nil || c.Image.Digest == "":
		return &fault.Fault{Err: fmt.Errorf("the image of %s/%s/%s is not built", app, component, debugVariant), Fix: fmt.Sprintf("libre build %s/%s/%s", app, component, debugVariant)}
	}
	dist, err := layout.Open(ws.output(""))
	if err != nil {
		return err
	}
	return openShell(ctx, by, component, c, dist)
}

// openShell runs a shell in a container, until it ends.
func openShell(ctx context.Context, by, component string, c describe.Component, dist *layout.Layout) (err error) {
	dir, err := os.MkdirTemp("", "libre-shell-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	opened, err := engine.Open(ctx, by, engine.Options{Name: fmt.Sprintf("shell-%d", os.Getpid()), Dir: dir + "/run", Data: dir, Sockets: dir})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	if err := opened.Join(ctx, []string{component}, nil); err != nil {
		return err
	}
	shell, err := opened.Start(ctx, engine.Container{
		Name: component, Image: engine.Image{Name: c.Image.Reference, Layout: dist, Digest: c.Image.Digest}, Entrypoint: []string{"sh"}, User: c.User,
		Tmpfs: slices.Compact(slices.Sorted(slices.Values(slices.Concat(c.Volumes, c.Writable)))),
		Input: os.Stdin, Output: os.Stdout, Terminal: term.IsTerminal(int(os.Stdin.Fd())),
	})
	if err != nil {
		return err
	}
	select {
	case <-shell.Done(): // its exit code is that of the last command, and no error of ours
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
