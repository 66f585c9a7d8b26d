package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/spf13/cobra"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/release"
	"github.com/libresh/libre/internal/settings"
	"github.com/libresh/libre/internal/sign"
	"github.com/libresh/libre/internal/ui"
)

// publishOptions are the flags of the commands that talk to a registry.
type publishOptions struct {
	all      bool
	to       []string
	key      string
	signer   signer
	insecure bool
	output   string
	jobs     int
	dryRun   bool
	force    bool
	failFast bool
	alsoTag  []string
	resign   bool
	deep     bool
}

func (o *publishOptions) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringArrayVar(&o.to, "to", nil, "the `REGISTRY`[/NAMESPACE] of the images\n(default: registry in libre.yaml)")
	flags.StringVar(&o.key, "key", "", "the key in `FILE`: to sign with, or public, to verify\n(default: sign in libre.yaml)")
	flags.BoolVar(&o.insecure, "insecure", false, "allow HTTP and unknown certificates, not only on the\nloopback address")
}

func (e *env) pushCommand() *cobra.Command {
	var o publishOptions
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
		Example:           "  libre push --all --to registry.example/lasuite\n  libre push guestbook --to localhost:5000 --key cosign.key\n  libre push docs --also-tag '{major}.{minor}' --also-tag latest",
		RunE:              func(cmd *cobra.Command, args []string) error { return e.push(cmd.Context(), o, args) },
		ValidArgsFunction: e.completeSelection,
	}
	o.add(cmd)
	flags := cmd.Flags()
	flags.BoolVar(&o.all, "all", false, "select every image")
	flags.StringVar(&o.output, "output", "", "use the OCI layout in `DIR`\n(default: dist in the catalogue)")
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

func (e *env) push(ctx context.Context, o publishOptions, words []string) error {
	ws, err := e.workspace()
	if err != nil {
		return err
	}
	patterns, err := ws.selection(words, o.all)
	if errors.Is(err, catalog.ErrNothingSelected) {
		return e.nothingSelected(ctx, ws, "push")
	}
	if err != nil {
		return err
	}
	publisher, err := e.publisher(ctx, ws, o)
	if err != nil {
		return err
	}
	if publisher.Signing, err = ws.signing(ctx, o, publisher.Registry, true); err != nil {
		return err
	}
	if o.resign && (publisher.Signing == nil || ws.config.Sign.Keyless != nil && o.key == "") {
		return usageError{errors.New("--resign: nothing is signed with a key here: name one as key below sign in libre.yaml, or as --key FILE")}
	}
	if publisher.Signing == nil {
		e.Warnf("sign: none in libre.yaml: nothing is signed, described or attested")
	}
	if publisher.Files, err = ws.scanner(); err != nil {
		return err
	}
	defer publisher.Files.Close()
	publisher.Circumstances = sync.OnceValues(func() (release.BuildInfo, error) { return ws.circumstances(ctx, publisher.Catalogue) })
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

// publisher prepares what push, status and sbom need of catalogue and registry.
func (e *env) publisher(ctx context.Context, ws *workspace, o publishOptions) (*release.Publisher, error) {
	defer e.warnLeftOut(ctx, ws)()
	clients, err := ws.registries(o)
	if err != nil {
		return nil, err
	}
	alsoTags := o.alsoTag
	if len(alsoTags) == 0 {
		alsoTags = ws.config.AlsoTag
	}
	for _, tag := range alsoTags {
		if err := catalog.CheckMovingTag(tag); err != nil {
			return nil, usageError{fmt.Errorf("moving tag %q (%w), expected a tag, in which {major} and {minor} stand for numbers of the version", tag, err)}
		}
	}
	catalogue, err := ws.open(ctx)
	if err != nil {
		return nil, err
	}
	builder, err := ws.builder(ctx, catalogue, buildOptions{output: o.output, jobs: max(o.jobs, 1), failFast: o.failFast})
	if err != nil {
		return nil, err
	}
	return &release.Publisher{
		Builder:  builder,
		Registry: clients[0], CopyTo: clients[1:], DryRun: o.dryRun, Force: o.force, Resign: o.resign, Deep: o.deep, AlsoTags: alsoTags,
	}, nil
}

// reader prepares what looks at the selected releases where they are published.
func (e *env) reader(ctx context.Context, o publishOptions, words []string, all bool, command string) (*workspace, *release.Publisher, []catalog.Pattern, error) {
	ws, err := e.workspace()
	if err != nil {
		return nil, nil, nil, err
	}
	patterns, err := ws.selection(words, all)
	if errors.Is(err, catalog.ErrNothingSelected) {
		return nil, nil, nil, e.nothingSelected(ctx, ws, command)
	}
	if err != nil {
		return nil, nil, nil, err
	}
	publisher, err := e.publisher(ctx, ws, o)
	if err != nil {
		return nil, nil, nil, err
	}
	publisher.Signing, err = ws.signing(ctx, o, publisher.Registry, false)
	return ws, publisher, patterns, err
}

// registries are where the catalogue publishes; the first is where it reads, too.
func (ws *workspace) registries(o publishOptions) ([]*registry.Client, error) {
	names := o.to
	if len(names) == 0 {
		names = ws.config.Registries()
	}
	if len(names) == 0 {
		return nil, usageError{errors.New("no registry: give --to REGISTRY[/NAMESPACE], or name one as registry in libre.yaml")}
	}
	var clients []*registry.Client
	for _, name := range names {
		client, err := registry.NewClient(name, ws.reach(o.insecure))
		if err != nil {
			return nil, usageError{err}
		}
		clients = append(clients, client)
	}
	return clients, nil
}

// registryName is what references begin with; "" without a registry.
func (ws *workspace) registryName(o publishOptions) string {
	if len(o.to) > 0 {
		return strings.TrimSuffix(o.to[0], "/")
	}
	return ws.config.Registry
}

// registry is the one that a command reads.
func (ws *workspace) registry(o publishOptions) (*registry.Client, error) {
	clients, err := ws.registries(o)
	if err != nil {
		return nil, err
	}
	return clients[0], nil
}

// signing is how the catalogue signs, nil for sign: none. secret says that the
// private key is needed.
func (ws *workspace) signing(ctx context.Context, o publishOptions, client *registry.Client, secret bool) (*release.Signing, error) {
	config := ws.config.Sign
	if o.key != "" {
		config = settings.Sign{Config: sign.Config{Format: config.Format, Key: o.key}}
		if strings.HasSuffix(o.key, ".pub") || !secret && !strings.HasSuffix(o.key, ".key") {
			config.Key, config.PublicKeys = "", []sign.PublicKey{{File: o.key}}
		}
	} else if config.None {
		return nil, nil
	}
	if config.Unset() {
		return nil, usageError{errors.New("no signing key: libre keygen makes one, give it as --key FILE or as sign: key in libre.yaml (or say sign: none)")}
	}
	config.Copies = ws.copies(o)
	signing := &release.Signing{Client: ws.attachments(client)}
	var err error
	if !secret {
		signing.Policy, err = config.Policy(ctx)
		return signing, err
	}
	var prompts sign.Prompts
	if ask := askPassword(); ask != nil {
		prompts = sign.Prompts{Password: ask, Browser: os.Stderr}
	}
	// To open a key takes longer than to look at all that is published.
	signing.Signer = sync.OnceValues(func() (*sign.Signer, error) { return config.Signer(ctx, prompts) })
	if signing.Policy, err = config.Policy(ctx); err == nil {
		return signing, nil
	}
	signer, err := signing.Signer() // it knows its public key
	if err != nil {
		return nil, err
	}
	signing.Policy = signer.Policy()
	return signing, nil
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
