package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/cobra"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/clean"
	"github.com/libresh/libre/internal/containerfile"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/oci/layout"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/ui"
)

type gcOptions struct {
	unused age
	output string
	yes    bool
	json   bool
}

// shortestUnused is the shortest time that --unused-for accepts. A build may take that
// long, and what it makes is unused until it ends.
const shortestUnused = 24 * time.Hour

func (e *env) gcCommand() *cobra.Command {
	o := gcOptions{unused: age(7 * 24 * time.Hour)}
	cmd := &cobra.Command{
		Use:   "gc",
		Short: "Free disk space on this machine",
		Long: `Show what libre can remove from this machine, with the rule for each kind, and
remove it: on a terminal gc asks first, elsewhere it needs --yes.

  images             in dist/: those that the catalogue no longer defines, if
                     the registry has them, and what belongs to no image
  caches             what was not used for a week (--unused-for): layers,
                     evaluations, SBOMs, vulnerability databases, answers of
                     forges, images that libre run fetched
  logs               those that are older
  GC roots           links that keep sources in the Nix store. Afterwards
                     nix-collect-garbage frees them there.
  engine storage     bases of Containerfiles in libre's own storage of buildah
                     or podman, and what killed builds left
  temporary folders  what killed runs left

gc never removes an image that the catalogue defines, or that is not published,
and never the data of libre run --keep. gc keeps what another run of libre is
using.

The output has one line per kind: kind, size, rule, folder.`,
		Example: "  libre gc\n  libre gc --yes --unused-for 1d",
		Args:    takes(0, 0),
		RunE:    func(cmd *cobra.Command, _ []string) error { return e.runGC(cmd.Context(), o) },
	}
	flags := cmd.Flags()
	flags.Var(&o.unused, "unused-for", "remove from caches what was not used for `TIME`, at least 1d")
	flags.StringVarP(&o.output, "output", "o", "", "the `DIR` of the images (default: dist in the catalogue)")
	flags.BoolVar(&o.yes, "yes", false, "remove it without asking")
	flags.BoolVar(&o.json, "json", false, "print the result as JSON")
	return cmd
}

// gcJSON is what `gc --json` prints.
type gcJSON struct {
	Removed bool           `json:"removed"` // whether it is removed; else it can be, with --yes
	Bytes   int64          `json:"bytes"`   // of all kinds
	Groups  []*clean.Group `json:"groups"`  // by kind
}

func (e *env) runGC(ctx context.Context, o gcOptions) error {
	if time.Duration(o.unused) < shortestUnused {
		return usageError{errors.New("--unused-for must be at least 1d: a build may run that long")}
	}
	ws, err := e.registryWorkspace()
	if err != nil {
		return err
	}
	result := gcJSON{Groups: append([]*clean.Group{}, e.machine(ctx, ws, o).Groups(ctx)...)}
	for _, group := range result.Groups {
		result.Bytes += group.Bytes
	}
	if !o.json {
		err = e.showGarbage(result)
	}
	if err == nil && len(result.Groups) > 0 && (o.yes || e.confirm(ctx, "remove it")) {
		result.Removed = true
		e.Notef("freed about %s; nix-collect-garbage frees what the Nix store no longer needs", ui.Size(removeGarbage(ctx, result.Groups)))
	}
	if err == nil && o.json {
		err = e.JSON(result)
	}
	if err != nil {
		return err
	}
	return e.garbageError(result)
}

// machine returns this machine, with the catalogue's images if there is a catalogue.
func (e *env) machine(ctx context.Context, ws *workspace, o gcOptions) *clean.Machine {
	m := &clean.Machine{Cache: ws.cacheDir, Temp: os.TempDir(), Before: time.Now().Add(-time.Duration(o.unused))}
	m.Engine = sync.OnceValues(func() (*containerfile.Builder, error) { return ws.engineFor(ctx, time.Duration(o.unused)) })
	if ws.dir == "" || ws.nix == nil {
		return m
	}
	output := ws.output(o.output)
	drop, err := e.superseded(ctx, ws, output)
	if err != nil {
		e.Warnf("%s stays as it is: %v", output, err)
		return m
	}
	m.Output, m.Drop = output, func(d v1.Descriptor) bool { return drop[d.Annotations[layout.RefNameAnnotation]] == d.Digest }
	return m
}

// engineFor returns the engine of Containerfiles, with the storage that builds use.
func (ws *workspace) engineFor(ctx context.Context, unused time.Duration) (*containerfile.Builder, error) {
	engine, err := containerfile.Detect(ctx, ws.settings.Engine)
	if err != nil {
		return nil, err
	}
	builder := containerfile.NewBuilder(engine, filepath.Join(ws.cacheDir, "containers"))
	builder.KeepAtMost(ws.settings.Limits.Storage)
	builder.KeepFor(unused)
	return builder, nil
}

// superseded returns the images of a layout that the catalogue no longer defines and the
// registry has, as names with their digests.
func (e *env) superseded(ctx context.Context, ws *workspace, output string) (map[string]v1.Hash, error) {
	if _, err := os.Stat(output); err != nil {
		return nil, nil
	}
	dist, err := layout.Open(output)
	if err != nil {
		return nil, err
	}
	entries, err := dist.Entries()
	if err != nil {
		return nil, err
	}
	defined, err := ws.definedNames(ctx)
	if err != nil {
		return nil, err
	}
	client, _, err := ws.published(ctx)
	if err != nil {
		return nil, err
	}
	drop, unpublished := map[string]v1.Hash{}, 0
	for _, entry := range entries {
		name := entry.Annotations[layout.RefNameAnnotation]
		if defined[name] {
			continue
		}
		is, err := isPublished(ctx, client, name, entry.Digest)
		if err != nil {
			return nil, err
		}
		if is {
			drop[name] = entry.Digest
		} else {
			unpublished++
		}
	}
	if unpublished > 0 {
		e.Notef("%s keeps images that the catalogue no longer defines, because they are not published: %d", output, unpublished)
	}
	return drop, nil
}

// definedNames returns the names of all images that the catalogue defines.
func (ws *workspace) definedNames(ctx context.Context) (map[string]bool, error) {
	evaluation, err := ws.evaluate(ctx, nix.Request{Patterns: catalog.All})
	if err != nil {
		return nil, err
	}
	for app, failure := range evaluation.Failures {
		return nil, fmt.Errorf("%s cannot be evaluated: %w", app, failure)
	}
	names := map[string]bool{}
	for _, id := range catalog.IDs(evaluation.Apps) {
		app := evaluation.Apps[id.App]
		names[catalog.Ref{Repository: id.Name(), Tag: catalog.Tag(app.Version, app.PackageVersion)}.String()] = true
	}
	return names, nil
}

// isPublished reports whether the registry has an image under its name.
func isPublished(ctx context.Context, client *registry.Client, image string, digest v1.Hash) (bool, error) {
	if client == nil {
		return false, nil
	}
	tag, err := client.Tag(catalog.ParseRef(image))
	if err != nil {
		return false, nil // not one of ours
	}
	there, err := client.HeadAt(ctx, tag, digest.String())
	if errors.Is(err, registry.ErrNotFound) {
		return false, nil
	}
	return err == nil && there.Digest == digest, err
}

func (e *env) showGarbage(result gcJSON) error {
	table := ui.Table{Header: []string{"KIND", "SIZE", "RULE", "WHERE"}, Sentences: []int{3}}
	for _, group := range result.Groups {
		table.Rows = append(table.Rows, []string{group.Kind, ui.Size(group.Bytes), group.Rule, group.Where})
	}
	if err := e.Table(table); err != nil {
		return err
	}
	if len(result.Groups) == 0 {
		e.Notef("there is nothing to remove")
		return nil
	}
	e.Notef("%s can be removed; libre gc --yes removes it without a question", ui.Size(result.Bytes))
	return nil
}

// removeGarbage removes kind after kind, whatever becomes of the others. It returns how many
// bytes those have that are gone.
func removeGarbage(ctx context.Context, groups []*clean.Group) (freed int64) {
	for _, group := range groups {
		if err := group.Remove(ctx); err != nil {
			group.Error, _, _ = strings.Cut(err.Error(), "\n") // the others have the same reason
			if fix := fault.Fix(fault.OfDisk(err)); fix != "" && !strings.Contains(group.Error, fix) {
				group.Error += "; " + fix
			}
			continue
		}
		freed += group.Bytes
	}
	return freed
}

func (e *env) garbageError(result gcJSON) error {
	failed := false
	for _, group := range result.Groups {
		if group.Error != "" {
			failed = true
			e.Errorf("%s: %s", group.Kind, group.Error)
		}
	}
	if failed {
		return errReported
	}
	return nil
}

// age is a flag: days, as 90d, or what Go reads as a duration.
type age time.Duration

func (a *age) String() string {
	switch d := time.Duration(*a); {
	case d == 0:
		return "" // so that help names no default
	case d%(24*time.Hour) != 0:
		return d.String()
	}
	return strconv.Itoa(int(time.Duration(*a)/(24*time.Hour))) + "d"
}

func (a *age) Type() string { return "TIME" }

func (a *age) Set(word string) error {
	if days, is := strings.CutSuffix(word, "d"); is {
		n, err := strconv.ParseUint(days, 10, 16)
		*a = age(time.Duration(n) * 24 * time.Hour)
		if err == nil {
			return nil
		}
	} else if d, err := time.ParseDuration(word); err == nil && d >= 0 {
		*a = age(d)
		return nil
	}
	return errors.New("expected days, such as 90d, or hours, such as 36h")
}
