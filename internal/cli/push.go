package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/spf13/cobra"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/release"
	"github.com/libresh/libre/internal/release/publish"
	"github.com/libresh/libre/internal/release/state"
	"github.com/libresh/libre/internal/ui"
)

type pushOptions struct {
	selection []string
	all       bool
	registry  registryOptions
	output    string
	jobs      int
	dryRun    bool
	force     bool
	deep      bool
	trusting  bool
	resign    bool
	failFast  bool
	noGate    bool
	alsoTag   []string
	shard     release.Shard
	json      bool
}

const pushLong = `Publish the selected images for all systems of the catalogue, and build those
that are missing.

For each image, push uploads the blobs and manifests by digest, SBOMs,
provenance and the signature, reads them back, and verifies them. When all
images of an app's variant are uploaded, push publishes the release record,
then the images' tags, and the record's tag last. So a tag never points to an
unsigned image.

Images that are published already are not built or pushed again. If one of
their attachments is missing from the registry's list, push attaches it again.
--deep also reads and verifies every attachment, to find those that are listed
but not valid. --trust-records does not look at the lists: it takes a signed
release record's word for the attachments of its images.

push does not replace a tag that has other content, unless you use --force. If
an image fails, push still publishes the others. It then prints why
each failed, and exits with code 3. Run push again to complete the release.

If --to is repeated, push builds, signs and pushes images once, to the first
registry, and copies them with their attachments to the others. --also-tag
points a tag such as latest to each release once it is published. Such a tag
never goes back to an older release, unless the newer one is withdrawn. copyTo
and alsoTag in libre.yaml do the same for every run.

--shard 3/8 publishes the third of eight parts, for CI with eight machines. An
app is always in the same part, whatever else the catalogue has, together with
the apps that its images are built on. libre plan --matrix divides only what
needs work, by the time that it takes.

--resign signs again, with the current key, what a former key of sign.publicKey
signed: images, records and attestations, in all registries. Digests, tags and
the old signatures stay.

push signs what withdrawn.yaml says: see libre help withdraw. It refuses to
publish a release that is withdrawn, and points moving tags to the newest one
that is not.

scan.gate in libre.yaml holds back a release whose images add a vulnerability of
that severity or worse over the published ones, and licenses holds back one with
a component whose license is refused. The reason names what was found.

The output has one line per image and record: reference@digest, state, reason.`

func (e *env) pushCommand() *cobra.Command {
	var o pushOptions
	var shard string
	cmd := &cobra.Command{
		Use:     "push SELECTION... | --all",
		Short:   "Publish images, and build those that are missing",
		Long:    pushLong,
		Example: "  libre push --all --to registry.example/lasuite\n  libre push guestbook --to localhost:5000 --key cosign.key\n  libre push docs --also-tag '{major}.{minor}' --also-tag latest",
		RunE: func(cmd *cobra.Command, args []string) error {
			o.selection = args
			if cmd.Flags().Changed("shard") {
				var err error
				if o.shard, err = release.ParseShard(shard); err != nil {
					return usageError{err}
				}
			}
			return e.runPush(cmd.Context(), o)
		},
		ValidArgsFunction: e.completeSelection,
	}
	o.registry.addFlags(cmd)
	flags := cmd.Flags()
	flags.BoolVar(&o.all, "all", false, "select every image")
	addOutputFlag(cmd, &o.output)
	addJobsFlag(flags, &o.jobs)
	flags.BoolVar(&o.dryRun, "dry-run", false, "build, inspect, and print what would be pushed")
	flags.BoolVar(&o.force, "force", false, "replace tags that have other content")
	flags.BoolVar(&o.deep, "deep", false, "also verify all attachments of published images, and attach those again that are not valid")
	addTrustFlag(flags, &o.trusting)
	cmd.MarkFlagsMutuallyExclusive("deep", trustFlag)
	flags.BoolVar(&o.resign, "resign", false, "sign again, with the current key, what a former key signed")
	flags.BoolVar(&o.failFast, "fail-fast", false, "stop at the first failure")
	flags.BoolVar(&o.noGate, "no-gate", false, "publish even if scan.gate in libre.yaml holds a release back; the provenance records it")
	flags.StringArrayVar(&o.alsoTag, "also-tag", nil, "also set a moving `TAG`, such as latest or {major}.{minor} (default: alsoTag in libre.yaml)")
	flags.StringVar(&shard, "shard", "", "publish only the part `NUMBER/OF` of the selected apps, such as 3/8, the others on other machines")
	flags.BoolVar(&o.json, "json", false, "print the result as JSON")
	e.addSummary(cmd)
	return cmd
}

func (e *env) runPush(ctx context.Context, o pushOptions) error {
	started := time.Now()
	for _, tag := range o.alsoTag {
		if err := catalog.CheckMovingTag(tag); err != nil {
			return usageError{fmt.Errorf("moving tag %q (%w), expected a tag, which may contain {major} and {minor} of the version", tag, err)}
		}
	}
	ws, patterns, err := e.selected(ctx, "push", o.selection, o.all)
	if err != nil {
		return err
	}
	publisher, err := e.pusher(ctx, ws, o)
	if err != nil {
		return err
	}
	defer publisher.Builder.Files.Close()
	cache, closeCache, err := e.binaryCache(ws)
	if err != nil {
		return err
	}
	defer closeCache()
	inspector, err := e.inspector(ctx, ws, o.noGate)
	if err != nil {
		return err
	}
	defer inspector.close()
	if inspector.gate != "" || inspector.licenses.IsSet() {
		publisher.Inspect = inspector.inspect
	}
	publisher.Shard = o.shard
	watcher := e.watchImages(ws, started, true)
	publisher.Builder.Watcher, publisher.Reader.Warn = watcher, watcher.Warn
	results, err := publisher.Push(ctx, nix.Request{Patterns: patterns})
	watcher.progress.Close()
	var cacheErr error
	if err == nil && !o.dryRun {
		cacheErr = e.copyToCache(ctx, cache, publisher.Builder)
	}
	if printErr := e.printPushed(results, o.json); err == nil {
		err = printErr
	}
	e.noteTrusted(o.trusting)
	if err != nil {
		return err
	}
	return e.both(e.reportUnpublished(ws, watcher, results), cacheErr)
}

// pusher is a publisher with the options of push.
func (e *env) pusher(ctx context.Context, ws *workspace, o pushOptions) (*publish.Publisher, error) {
	publisher, err := e.publisher(ctx, ws, o.registry, o.output)
	if err != nil {
		return nil, err
	}
	defer e.warnLeftOut(ctx, ws)()
	reader := publisher.Reader
	if reader.Signing, err = ws.signing(ctx, o.registry, reader.Registry); err != nil {
		return nil, err
	}
	switch unsigned := reader.Signing == nil; {
	case o.resign && (unsigned || ws.settings.Sign.Keyless != nil && o.registry.key == ""):
		return nil, usageError{errors.New("--resign needs a signing key: set key below sign in libre.yaml, or give --key FILE")}
	case unsigned && (ws.settings.Scan.Gate != "" && !o.noGate || ws.settings.Licenses.IsSet()):
		return nil, usageError{errors.New("scan.gate and licenses in libre.yaml need an SBOM, which sign: none does not make: sign, or remove them")}
	case unsigned:
		e.Warnf("sign: none in libre.yaml: images are not signed and get no SBOM or provenance")
	}
	if len(o.alsoTag) > 0 {
		publisher.Reader.AlsoTags = o.alsoTag
	}
	builder := publisher.Builder
	builder.Jobs, builder.FailFast = o.jobs, o.failFast
	publisher.DryRun, publisher.Force, publisher.Resign, reader.Deep = o.dryRun, o.force, o.resign, o.deep
	reader.Trusting = o.trusting
	publisher.BuildInfo = sync.OnceValues(func() (publish.BuildInfo, error) {
		info, err := publish.ReadBuildInfo(ctx, ws.nix, builder.Catalogue, ws.dir, ws.packageSet, version, builder.Engine)
		info.NoGate = o.noGate
		return info, err
	})
	builder.Files, err = ws.scanner()
	return publisher, err
}

func (e *env) printPushed(results []publish.Result, asJSON bool) error {
	table := e.publishedTable(results)
	if !asJSON {
		return e.Table(table)
	}
	e.Summary(table)
	list := []pushedJSON{}
	for _, r := range results {
		list = append(list, newPushedJSON(r))
	}
	return e.JSON(list)
}

// pushedJSON is one image or record of `push --json`.
type pushedJSON struct {
	Name      string `json:"name"`                // app/component/variant of an image, app/variant of a record, or an app that cannot be evaluated
	Kind      string `json:"kind"`                // image, release or app
	State     string `json:"state"`               // published, unchanged, attached, signed, withdrawn, reinstated, moved (a moving tag), held, skipped, failed or dry-run
	Reference string `json:"reference,omitempty"` // by the tag
	Digest    string `json:"digest,omitempty"`
	Reason    string `json:"reason,omitempty"` // why it was held back or withdrawn, or what was attached or signed
	Step      string `json:"step,omitempty"`   // that failed
	Error     string `json:"error,omitempty"`
	Log       string `json:"log,omitempty"`
}

func newPushedJSON(r publish.Result) pushedJSON {
	one := pushedJSON{Name: r.Name, Kind: kinds[strings.Count(r.Name, "/")], State: string(r.State), Reason: r.Reason}
	if r.Tag != (name.Tag{}) {
		one.Reference = r.Tag.String()
	}
	if r.Digest != (name.Digest{}) {
		one.Digest = r.Digest.DigestStr()
	}
	if r.Err != nil {
		one.Step, one.Error, one.Log = r.Err.Step, r.Err.Error(), r.Err.Log
	}
	return one
}

func (e *env) publishedTable(results []publish.Result) ui.Table {
	table := ui.Table{Header: []string{"REFERENCE", "STATE", "REASON"}, Sentences: []int{2}, Style: publishStyle}
	for _, r := range results {
		if r.Err != nil || r.Digest == (name.Digest{}) || e.onlyCounted(r.State) {
			continue
		}
		reference := r.Digest.String()
		if r.Tag != (name.Tag{}) {
			reference = r.Tag.String() + "@" + r.Digest.DigestStr()
		}
		table.Rows = append(table.Rows, []string{reference, string(r.State), r.Reason})
	}
	return table
}

func publishStyle(column int, cell string) ui.Style {
	if column != 1 {
		return ui.None
	}
	return map[string]ui.Style{string(state.Published): ui.OK, string(state.Attached): ui.OK, string(state.Signed): ui.OK, string(state.Tagged): ui.OK, string(state.Withdrawn): ui.Warn, string(state.Reinstated): ui.OK, string(state.Unchanged): ui.Dim, string(state.Held): ui.Warn}[cell]
}

// reportUnpublished prints what failed, and how many images and releases there were.
func (e *env) reportUnpublished(ws *workspace, run *buildWatcher, results []publish.Result) error {
	var all []failed
	var refused error
	var moved []error
	var count counts
	for _, r := range results {
		count.add(r.Name, r.State)
		if r.Err == nil {
			continue
		}
		all = append(all, failed{r.Name, r.Err})
		if refused == nil && exitCode(r.Err) == exitCredentials {
			refused = r.Err
		}
		if errors.As(r.Err, new(*state.MovedError)) {
			moved = append(moved, r.Err)
		}
	}
	e.conclude(ws, run, all, count)
	switch {
	case len(all) == 0:
		return nil
	case refused != nil:
		return refused
	case len(moved) > 0:
		return stateError("tags", len(results), nil, moved)
	}
	return count.someFailed()
}
