package cli

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/spf13/cobra"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/release"
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
	resign    bool
	failFast  bool
	alsoTag   []string
}

func (e *env) pushCommand() *cobra.Command {
	var o pushOptions
	cmd := &cobra.Command{
		Use:   "push SELECTION... | --all",
		Short: "Build what is missing, and publish it: signed first, tagged last",
		Long: `Publishes the selected images for all systems of the catalogue. For each image:
blobs and manifests by digest, SBOMs, provenance, signature, all read back and
verified. When all images of an app's variant are there: the release record, the
images' tags, and the record's tag last of all. So no tag is ever unsigned.

What is published already is left alone; of what was attached to it, what is gone is
attached again, without a build of the image: what is gone shows in the list of what
is attached; --deep reads it all, so that it finds what is listed and is not ours. A tag that has other content is never
replaced, unless with --force. It goes on when an image fails, and ends with a
table of failures and exit code 3; running it again completes what is missing.

Where --to is given several times, images are built, signed and pushed once, to
the first registry, and copied to the others with all that is attached to them.
--also-tag points a moving tag to each release once it is published; the tag
never goes back to an older release. copyTo and alsoTag in libre.yaml say both
for every run.

--resign signs with the present key what a former key of sign.publicKey signed:
images, records and attestations, in all registries. Digests and tags stay, and so
do the old signatures.

stdout has a line for each image and record: reference@digest, state, reason.`,
		Example: "  libre push --all --to registry.example/lasuite\n  libre push guestbook --to localhost:5000 --key cosign.key\n  libre push docs --also-tag '{major}.{minor}' --also-tag latest",
		RunE: func(cmd *cobra.Command, args []string) error {
			o.selection = args
			return e.runPush(cmd.Context(), o)
		},
		ValidArgsFunction: e.completeSelection,
	}
	o.registry.addFlags(cmd)
	flags := cmd.Flags()
	flags.BoolVar(&o.all, "all", false, "select every image")
	addOutputFlag(cmd, &o.output)
	flags.IntVarP(&o.jobs, "jobs", "j", runtime.NumCPU(), "assemble or build `N` images at once")
	flags.BoolVar(&o.dryRun, "dry-run", false, "build, print what would be pushed, and push nothing")
	flags.BoolVar(&o.force, "force", false, "replace tags that have other content, and say which")
	flags.BoolVar(&o.deep, "deep", false, "also read and verify all that is attached to what is\npublished, and attach again what does not verify")
	flags.BoolVar(&o.resign, "resign", false, "sign anew, with the present key, what a former key\nsigned")
	flags.BoolVar(&o.failFast, "fail-fast", false, "stop at the first failure")
	flags.StringArrayVar(&o.alsoTag, "also-tag", nil, "also set a moving `TAG`, such as latest or\n{major}.{minor} (default: alsoTag in libre.yaml)")
	e.addSummary(cmd)
	return cmd
}

func (e *env) runPush(ctx context.Context, o pushOptions) error {
	for _, tag := range o.alsoTag {
		if err := catalog.CheckMovingTag(tag); err != nil {
			return usageError{fmt.Errorf("moving tag %q (%w), expected a tag, in which {major} and {minor} stand for numbers of the version", tag, err)}
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
	defer publisher.Files.Close()
	progress := e.Progress()
	progress.Set("catalogue", ui.State{Phase: ui.Evaluating})
	publisher.Watcher = &buildWatcher{env: e, progress: progress}
	results, err := publisher.Push(ctx, nix.Request{Patterns: patterns})
	progress.Close()
	if tableErr := e.Table(publishedTable(results)); err == nil {
		err = tableErr
	}
	if err != nil {
		return err
	}
	return e.reportUnpublished(results)
}

// pusher is the publisher that the options ask for.
func (e *env) pusher(ctx context.Context, ws *workspace, o pushOptions) (*release.Publisher, error) {
	publisher, err := ws.publisher(ctx, o.registry, o.output)
	if err != nil {
		return nil, err
	}
	defer e.warnLeftOut(ctx, ws)()
	if publisher.Signing, err = ws.signing(ctx, o.registry, publisher.Registry); err != nil {
		return nil, err
	}
	switch unsigned := publisher.Signing == nil; {
	case o.resign && (unsigned || ws.settings.Sign.Keyless != nil && o.registry.key == ""):
		return nil, usageError{errors.New("--resign: nothing is signed with a key here: name one as key below sign in libre.yaml, or as --key FILE")}
	case unsigned:
		e.Warnf("sign: none in libre.yaml: nothing is signed, described or attested")
	}
	if len(o.alsoTag) > 0 {
		publisher.AlsoTags = o.alsoTag
	}
	publisher.Jobs, publisher.FailFast = max(o.jobs, 1), o.failFast
	publisher.DryRun, publisher.Force, publisher.Resign, publisher.Deep = o.dryRun, o.force, o.resign, o.deep
	publisher.Circumstances = sync.OnceValues(func() (release.BuildInfo, error) { return ws.circumstances(ctx, publisher.Catalogue) })
	publisher.Files, err = ws.scanner()
	return publisher, err
}

func publishedTable(results []release.Published) ui.Table {
	table := ui.Table{Header: []string{"REFERENCE", "STATE", "REASON"}, Sentences: []int{2}, Style: publishStyle}
	for _, r := range results {
		if r.Err != nil || r.Digest == (name.Digest{}) {
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
	return map[string]ui.Style{string(release.IsPublished): ui.OK, string(release.Attached): ui.OK, string(release.Resigned): ui.OK, string(release.Moved): ui.OK, string(release.WasThere): ui.Dim, string(release.Held): ui.Warn}[cell]
}

// reportUnpublished prints the table of failures.
func (e *env) reportUnpublished(results []release.Published) error {
	table := ui.Table{Header: []string{"IMAGE", "STEP", "REASON", "LOG"}}
	var refused error
	var moved []error
	for _, r := range results {
		if r.Err != nil {
			table.Rows = append(table.Rows, []string{r.Name, r.Err.Step, r.Err.Error(), r.Err.Log})
			if refused == nil && exitCode(r.Err) == exitCredentials {
				refused = r.Err
			}
			if errors.As(r.Err, new(*release.MovedError)) {
				moved = append(moved, r.Err)
			}
		}
	}
	if len(table.Rows) == 0 {
		return nil
	}
	e.NoteTable(table)
	if refused != nil {
		return refused
	}
	if len(moved) > 0 {
		return unsettled("tags", len(results), nil, moved)
	}
	return someFailed{"images", len(table.Rows), len(results)}
}
