package cli

import (
	"context"
	"crypto/rand"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/libresh/libre/internal/instance"
	"github.com/libresh/libre/internal/run"
	"github.com/libresh/libre/internal/run/engine"
	"github.com/libresh/libre/internal/ui"
)

type runOptions struct {
	words  []string
	app    appOptions // name, settings and what is optional
	port   int
	engine string
	keep   bool
	json   bool
}

func (e *env) runCommand() *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "run APP | REFERENCE",
		Short: "Run an app on this machine, to try it",
		Long: `Run an app on this machine, until you interrupt it: an app of the catalogue,
whose images must be built, or a published release, REGISTRY/APP-VARIANT:TAG,
all of which must verify: give --key, or --identity with --issuer. stdout has
the address, once all services answer. stderr has what the services print, each
line after the service's name.

What runs is what render --format compose writes: each service in a container
without rights, jobs before the services that wait for them, and servers for
what the app needs: from images (run.needs in libre.yaml), or, if the engine
cannot fetch images, from this machine: its PostgreSQL, MariaDB, Valkey or
Redis, and libre's own servers for buckets, logins and mails. libre makes
secrets for it, in files that only you can read. Only one port listens, on
127.0.0.1.

Ctrl-C ends all of it and removes its data. With --keep the data stays, and the
next run finds it again.

podman, docker or, for root, runc runs the containers: --engine, else the first
that works.`,
		Example: "  libre run guestbook\n  libre run 'guestbook/*/lyon' --port 8081 --keep\n  libre run registry.example/lasuite/docs-default:5.4.1-1 --key cosign.pub",
		RunE: func(cmd *cobra.Command, args []string) error {
			o.words = args
			return e.runRun(cmd.Context(), o)
		},
		ValidArgsFunction: e.completeSelection,
	}
	o.app.registry.addReferenceFlags(cmd, "reference")
	flags := cmd.Flags()
	o.port = 8080
	flags.Var(number{&o.port, 0, mostPort}, "port", "answer at port `N` of 127.0.0.1; 0 chooses a free one")
	addEngineFlag(cmd, &o.engine)
	flags.BoolVar(&o.keep, "keep", false, "keep the data for the next run")
	flags.BoolVar(&o.json, "json", false, "print the address as JSON")
	flags.StringVar(&o.app.name, "name", "", "the `NAME` of this instance, to run an app twice (default: the app's and its variant's)")
	flags.StringArrayVar(&o.app.set, "set", nil, "set one of the app's settings: `NAME=VALUE`")
	flags.StringVar(&o.app.values, "values", "", "settings in `FILE`, a YAML map of names and values; --set takes precedence")
	flags.StringSliceVar(&o.app.with, "with", nil, "use `NAME`, an optional need or service of the app")
	return cmd
}

// gateCommand is for a container that libre run starts.
func (e *env) gateCommand() *cobra.Command {
	return &cobra.Command{
		Use: "gate DIR [PORT=SOCKET...]", Hidden: true, Args: cobra.MinimumNArgs(1), Short: "Lead in and out of the containers of libre run",
		RunE: func(cmd *cobra.Command, args []string) error { return engine.Gate(cmd.Context(), args[0], args[1:]) },
	}
}

func (e *env) runRun(ctx context.Context, o runOptions) error {
	settings, err := o.app.settings()
	if err != nil {
		return usageError{err}
	}
	ws, err := e.registryWorkspace()
	if err != nil {
		return err
	}
	by, err := engine.Find(ctx, o.engine)
	if err != nil {
		return err
	}
	app, dist, err := e.runnable(ctx, o.app.registry, o.words)
	if err != nil {
		return err
	}
	listener, err := run.Listen(o.port)
	if err != nil {
		return err
	}
	defer listener.Close()
	name := o.app.name
	if name == "" {
		name = run.Name(app.Metadata.Name, app.Spec.Variant)
	}
	i, err := instance.New(app, instance.Options{Name: name, Port: run.PortOf(listener), Settings: settings, With: o.app.with})
	if err != nil {
		return usageError{err}
	}
	dir, err := run.StateDir(os.Getenv)
	if err != nil {
		return err
	}
	progress := e.Progress()
	defer progress.Close()
	return run.Run(ctx, run.Options{
		Instance: i, Layout: dist, Engine: by, Images: ws.settings.Run.Needs, Dir: filepath.Join(dir, i.Name), Keep: o.keep, Random: rand.Text, Listener: listener, Watcher: runWatcher{e, progress},
	}, func() error {
		progress.Close()
		end := "Ctrl-C ends it and removes its data"
		if o.keep {
			end = "Ctrl-C ends it and keeps its data"
		}
		if len(app.Spec.Routes) == 0 {
			e.Notef("%s has no routes, so every page at its address is 404", app.Metadata.Name)
		}
		e.Notef("%s %s runs with %s; %s", app.Metadata.Name, app.Spec.Version, by, end)
		if o.json {
			return e.JSON(runJSON{app.Metadata.Name, app.Spec.Variant, app.Spec.Version, i.Name, by, i.URL()})
		}
		return e.Printf("%s\n", i.URL())
	})
}

// runJSON is what `run --json` prints when all services answer.
type runJSON struct {
	App     string `json:"app"`
	Variant string `json:"variant"`
	Version string `json:"version"`
	Name    string `json:"name"`   // of the instance
	Engine  string `json:"engine"` // podman, docker or runc
	URL     string `json:"url"`    // where the app answers on this machine
}

// runWatcher shows what happens in a run.
type runWatcher struct {
	*env
	progress *ui.Progress
}

func (w runWatcher) State(name string, state run.State, message string) {
	phase := map[run.State]ui.Phase{run.Starting: ui.Starting, run.Ready: ui.Ready, run.Ended: ui.Done}[state]
	w.progress.Set(name, ui.State{Phase: phase, Message: message})
}

func (w runWatcher) Note(text string) { w.Notef("%s", text) }

func (w runWatcher) Log(service, line string) { w.Notef("%s | %s", service, line) }
