package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/containerfile"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/release/build"
	"github.com/libresh/libre/internal/release/state"
	"github.com/libresh/libre/internal/ui"
)

// imageOptions are the flags that select images.
type imageOptions struct {
	selection []string
	all       bool
	systems   []string
	output    string
}

func (o *imageOptions) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&o.all, "all", false, "select every image")
	flags.StringSliceVar(&o.systems, "system", nil, "build for `SYSTEMS`, such as x86_64-linux,aarch64-linux, or all for those of flake.nix (default: this machine's)")
	addOutputFlag(cmd, &o.output)
}

func addOutputFlag(cmd *cobra.Command, output *string) {
	cmd.Flags().StringVar(output, "output", "", "use the OCI layout in `DIR` (default: dist in the catalogue)")
}

type buildOptions struct {
	images   imageOptions
	jobs     int
	failFast bool
	archive  string
	load     string
	json     bool
	fix      bool // hashes
}

func (e *env) buildCommand() *cobra.Command {
	var o buildOptions
	cmd := &cobra.Command{
		Use:   "build SELECTION... | --all",
		Short: "Build images into an OCI layout",
		Long: `Build the selected images into an OCI layout, by default dist in the catalogue.
Images that are built already stay as they are. skopeo, buildah and podman read
the layout as oci:dist:NAME:TAG, and libre serve serves it as a registry.

If an image fails, libre still builds the others. It then prints why
each failed, and exits with code 3.

A Containerfile can be based on another image of the catalogue. libre takes
that image from the layout, or from registry in libre.yaml if a release record
that this catalogue signed names it. Otherwise libre builds it, and keeps it in
the layout.

--fix-hashes fills in hashes that are empty or wrong, as libre hash does, and
builds again.

--archive also writes the images into a file, which podman load, docker load
and skopeo read. --load also loads them into docker or podman, under names
without the registry. Both leave out images that failed.

The output has one line per image: reference@digest, state, size, layers, time.`,
		Example: "  libre build --all\n  libre build docs/backend 'meet/*/lyon'\n  libre build --all --package-set host\n  libre build docs --archive docs.tar\n  libre build docs/backend/lyon --load podman",
		RunE: func(cmd *cobra.Command, args []string) error {
			o.images.selection = args
			return e.runBuild(cmd.Context(), o)
		},
		ValidArgsFunction: e.completeSelection,
	}
	o.images.addFlags(cmd)
	flags := cmd.Flags()
	flags.BoolVar(&o.json, "json", false, "print the result as JSON")
	addJobsFlag(flags, &o.jobs)
	flags.BoolVar(&o.failFast, "fail-fast", false, "stop at the first failure")
	flags.BoolVar(&o.fix, "fix-hashes", false, "fill in empty and wrong hashes of the apps that fail because of them")
	flags.StringVar(&o.archive, "archive", "", "also write the images into `FILE`, an OCI archive")
	flags.StringVar(&o.load, "load", "", "also load the images into `ENGINE`: docker or podman")
	e.addSummary(cmd)
	return cmd
}

func (e *env) runBuild(ctx context.Context, o buildOptions) error {
	started := time.Now()
	ws, request, err := e.request(ctx, "build", o.images)
	if err != nil {
		return err
	}
	exports, err := openExports(ctx, o, request.Systems)
	if err != nil {
		return err
	}
	builder, err := ws.builder(ctx, o.images.output)
	if err != nil {
		return err
	}
	cache, closeCache, err := e.binaryCache(ws)
	if err != nil {
		return err
	}
	defer closeCache()
	defer e.warnLeftOut(ctx, ws)()
	watcher := e.watchImages(ws, started, false)
	builder.Jobs, builder.FailFast, builder.Watcher = o.jobs, o.failFast, watcher
	results, err := builder.Build(ctx, request)
	watcher.progress.Close()
	if err != nil {
		return err
	}
	if apps := appsWithWrongHashes(results); o.fix && len(apps) > 0 {
		return e.buildWithHashes(ctx, o, ws, apps)
	}
	exportErr := e.export(ctx, exports, builder, results)
	cacheErr := e.copyToCache(ctx, cache, builder)
	if err := e.printBuilt(ws.settings.Registry, results, o.json); err != nil {
		return err
	}
	return e.both(cmp.Or(exportErr, e.reportFailures(ws, watcher, results)), cacheErr)
}

// buildWithHashes fills in the hashes of apps, and then builds the selected images again.
func (e *env) buildWithHashes(ctx context.Context, o buildOptions, ws *workspace, apps []string) error {
	patterns, err := catalog.ParseSelection(apps, nil)
	if err != nil {
		return err
	}
	results, err := e.fillHashes(ctx, ws, patterns, false)
	if err == nil {
		err = e.reportBumps(bumpOptions{}, results)
	}
	if err != nil {
		return err
	}
	for _, result := range results {
		for _, edit := range result.Edits {
			e.Notef("%s: %s is %s", result.App, edit.Attribute, edit.New)
		}
	}
	e.workspace = sync.OnceValues(e.findWorkspace) // the catalogue has changed
	o.fix = false
	return e.runBuild(ctx, o)
}

// allSystems is the value of --system for the systems of flake.nix, for which push publishes.
const allSystems = "all"

// request is what the options select, for this machine's system if they name none.
func (e *env) request(ctx context.Context, command string, o imageOptions) (*workspace, nix.Request, error) {
	ws, patterns, err := e.selected(ctx, command, o.selection, o.all)
	if err != nil {
		return nil, nix.Request{}, err
	}
	systems := o.systems
	if slices.Contains(systems, allSystems) {
		return ws, nix.Request{Patterns: patterns, AllSystems: true}, nil
	}
	if len(systems) == 0 {
		system, err := nix.MachineSystem()
		if err != nil {
			return nil, nix.Request{}, err
		}
		systems = []string{system}
	}
	for _, system := range systems {
		if _, err := catalog.Platform(system); err != nil {
			return nil, nix.Request{}, usageError{err}
		}
	}
	return ws, nix.Request{Patterns: patterns, Systems: systems}, nil
}

// exports names where built images are written in addition to the OCI layout.
type exports struct {
	archive string // a file; empty for none
	loader  *containerfile.Loader
	system  string // that docker and podman get
}

// openExports finds errors in the flags, before minutes of building. Without systems, images are
// built for all.
func openExports(ctx context.Context, o buildOptions, systems []string) (exports, error) {
	s := exports{archive: o.archive}
	if len(systems) > 0 {
		s.system = systems[0]
	}
	if machine, err := nix.MachineSystem(); err == nil && (len(systems) == 0 || slices.Contains(systems, machine)) {
		s.system = machine
	}
	if o.archive == "-" {
		return s, usageError{errors.New("--archive -: an archive cannot go to stdout: give the name of a file")}
	}
	if o.archive != "" {
		if info, err := os.Stat(filepath.Dir(o.archive)); err != nil || !info.IsDir() {
			return s, usageError{fmt.Errorf("--archive %s: no directory %s", o.archive, filepath.Dir(o.archive))}
		}
		if info, err := os.Stat(o.archive); err == nil && !info.Mode().IsRegular() {
			return s, usageError{fmt.Errorf("--archive %s: it exists and is not a file", o.archive)}
		}
	}
	if o.load == "" {
		return s, nil
	}
	if o.load != "docker" && o.load != "podman" {
		return s, usageError{fmt.Errorf("--load %s, expected docker or podman", o.load)}
	}
	loader, err := containerfile.FindLoader(ctx, o.load)
	s.loader = &loader
	return s, err
}

// export writes what was built.
func (e *env) export(ctx context.Context, s exports, builder *build.Builder, results []build.Result) error {
	if s.archive == "" && s.loader == nil {
		return nil
	}
	if !slices.ContainsFunc(results, func(r build.Result) bool { return r.Digest != "" }) {
		e.Warnf("no image was built, so there is nothing to archive or load")
		return nil
	}
	if s.archive != "" {
		images, size, err := builder.Archive(ctx, results, s.system, s.archive)
		if err != nil {
			return err
		}
		e.Notef("wrote %[2]s to %[1]s, %[3]s", s.archive, imageCount(images), ui.Size(size))
	}
	if s.loader == nil {
		return nil
	}
	return builder.Load(ctx, results, s.system, *s.loader, func(ref catalog.Ref) {
		e.Notef("loaded %s into %s", ref, s.loader.Name)
	})
}

// reference is an image's name with the registry, if the catalogue has one.
func reference(registry string, ref catalog.Ref) string {
	if registry == "" {
		return ref.String()
	}
	return strings.TrimSuffix(registry, "/") + "/" + ref.String()
}

func (e *env) printBuilt(registry string, results []build.Result, asJSON bool) error {
	table := e.resultTable(registry, results)
	if !asJSON {
		return e.Table(table)
	}
	e.Summary(table)
	return e.JSON(resultsJSON(registry, results))
}

func (e *env) resultTable(registry string, results []build.Result) ui.Table {
	table := ui.Table{Header: []string{"IMAGE", "STATE", "SIZE", "LAYERS", "TIME"}, Style: stateStyle}
	for _, r := range results {
		if r.Digest == "" || e.onlyCounted(r.State) {
			continue
		}
		took := ""
		if r.State == state.Built {
			took = ui.Duration(r.Time)
		}
		table.Rows = append(table.Rows, []string{
			reference(registry, r.Ref) + "@" + r.Digest, string(r.State), ui.Size(r.Size), strconv.Itoa(r.Layers), took,
		})
	}
	return table
}

func stateStyle(column int, cell string) ui.Style {
	if column != 1 {
		return ui.None
	}
	return map[string]ui.Style{string(state.Built): ui.OK, string(state.Unchanged): ui.Dim}[cell]
}

// addJobsFlag adds the flag, whose default differs between machines.
func addJobsFlag(flags *pflag.FlagSet, jobs *int) {
	*jobs = runtime.NumCPU()
	flags.VarP(number{jobs, 1, unlimited}, "jobs", "j", "build `N` images at once")
	flags.Lookup("jobs").DefValue = "one for each processor"
}

// resultJSON is one image of `build --json`.
type resultJSON struct {
	Image     string     `json:"image"` // app/component/variant
	State     string     `json:"state"` // built, unchanged, skipped or failed
	Reference string     `json:"reference,omitempty"`
	Digest    string     `json:"digest,omitempty"`
	Size      int64      `json:"size,omitempty"`    // bytes, compressed
	Layers    int        `json:"layers,omitempty"`  // how many
	Seconds   float64    `json:"seconds,omitempty"` // that building took
	Step      string     `json:"step,omitempty"`
	Error     string     `json:"error,omitempty"`
	Log       string     `json:"log,omitempty"`
	Skipped   []skipJSON `json:"skipped,omitempty"` // systems without an image
}

type skipJSON struct {
	System string `json:"system"`
	Reason string `json:"reason"` // what the definition says
}

func resultsJSON(registry string, results []build.Result) []resultJSON {
	list := []resultJSON{}
	for _, r := range results {
		one := resultJSON{
			Image: r.ID.String(), State: string(r.State), Digest: r.Digest, Size: r.Size, Layers: r.Layers,
			Seconds: r.Time.Round(time.Millisecond).Seconds(),
		}
		if r.Ref != (catalog.Ref{}) {
			one.Reference = reference(registry, r.Ref)
		}
		if r.Err != nil {
			one.Step, one.Error, one.Log = r.Err.Step, r.Err.Error(), r.Err.Log
		}
		for _, skip := range r.Skipped {
			one.Skipped = append(one.Skipped, skipJSON{skip.System, skip.Reason})
		}
		list = append(list, one)
	}
	return list
}

// appsWithWrongHashes returns the apps with images that failed because of a wrong hash.
func appsWithWrongHashes(results []build.Result) []string {
	var apps []string
	for _, r := range results {
		if r.Err == nil {
			continue
		}
		if nix.IsWrongHash(r.Err) && !slices.Contains(apps, r.ID.App) {
			apps = append(apps, r.ID.App)
		}
	}
	return apps
}

// reportFailures prints what failed, and how many images and apps there were.
func (e *env) reportFailures(ws *workspace, run *buildWatcher, results []build.Result) error {
	var all []failed
	var count counts
	for _, r := range results {
		count.add(r.ID.String(), r.State)
		if r.State == state.Failed {
			all = append(all, failed{r.ID.String(), r.Err})
		}
	}
	e.conclude(ws, run, all, count)
	if len(all) == 0 {
		return nil
	}
	return count.someFailed()
}
