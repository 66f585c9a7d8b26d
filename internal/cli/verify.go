package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/spf13/cobra"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/release/state"
	"github.com/libresh/libre/internal/ui"
)

type verifyOptions struct {
	selection []string // or references
	all       bool
	registry  registryOptions
	rebuild   bool
	cosign    bool
	json      bool
}

func (e *env) verifyCommand() *cobra.Command {
	var o verifyOptions
	cmd := &cobra.Command{
		Use:   "verify SELECTION... | REFERENCE... | --all",
		Short: "Verify the signature, SBOMs and provenance of what is published",
		Long: `Verify what is published, by sign in libre.yaml or by a public key. For an
image, verify checks the signature, both SBOMs and the provenance. For a
release record, it also checks all images that the record names, and that their
tags point to them. --print-cosign prints the cosign commands that verify the
same signatures, to stderr.

An argument with a registry and a tag or digest is a reference. Other arguments
are selections. A reference needs no catalogue: --key, --identity with
--issuer, or sign in the nearest libre.yaml, says who must have signed.

--rebuild also builds the selected images again, without cached layers,
compares them with what is published, and names the first layer and file that
differ. It does not build store paths again that are in the Nix store.

A signature for another registry or namespace does not count, since whoever may
push could copy a staging image to production. Copies are accepted if copyTo or
sign.copies in libre.yaml, or --copy-of, names them.

Exit code 1 if something does not verify, is withdrawn or cannot be read, 4 if a
registry refuses access. The output has one line per image and record:
reference@digest; verified, failed, withdrawn (by who signed it), moved (its tag
was moved) or unknown (it cannot be read); what was checked, the reference that
it was signed as, and of an image the number of attached VEX statements, with
the version and the date of their document.`,
		Example: "  libre verify guestbook\n  libre verify registry.example/lasuite/docs-default:5.4.1-1 --key cosign.pub\n  libre verify registry.example/lasuite/docs-default:5.4.1-1 --identity me@example.org --issuer https://accounts.example\n  libre verify docs/backend/default --rebuild",
		RunE: func(cmd *cobra.Command, args []string) error {
			o.selection = args
			return e.runVerify(cmd.Context(), o)
		},
		ValidArgsFunction: e.completeSelection,
	}
	o.registry.addFlags(cmd)
	o.registry.signer.addFlags(cmd)
	cmd.Flags().BoolVar(&o.all, "all", false, "select every release")
	cmd.Flags().BoolVar(&o.json, "json", false, "print the result as JSON")
	cmd.Flags().BoolVar(&o.cosign, "print-cosign", false, "also print the cosign commands that verify the same signatures")
	cmd.Flags().BoolVar(&o.rebuild, "rebuild", false, "also build the images again, and compare them")
	return cmd
}

func (e *env) runVerify(ctx context.Context, o verifyOptions) error {
	var references, selection []string
	for _, word := range o.selection {
		switch {
		case isRepository(word):
			return noTag(word)
		case isReference(word):
			references = append(references, word)
		default:
			selection = append(selection, word)
		}
	}
	if o.rebuild && len(references) > 0 {
		return usageError{fmt.Errorf("--rebuild needs the definition in the catalogue: select images instead of %s", references[0])}
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(30) // attachments of others are read and dropped: free them soon
	}
	var results []state.Verification
	var err error
	if len(references) > 0 {
		if results, err = e.verifyReferences(ctx, o.registry, references); err != nil {
			return err
		}
	}
	if len(references) == 0 || len(selection) > 0 || o.all {
		o.selection = selection
		selected, err := e.verifySelection(ctx, o)
		if err != nil {
			return err
		}
		results = append(results, selected...)
	}
	return e.printVerified(results, o)
}

func (e *env) verifyReferences(ctx context.Context, o registryOptions, references []string) ([]state.Verification, error) {
	ws, client, signing, err := e.verifier(ctx, o, references[0])
	if err != nil {
		return nil, err
	}
	var results []state.Verification
	for _, word := range references {
		reference, err := client.Parse(word)
		if err != nil {
			return nil, err
		}
		verified := state.VerifyReference(ctx, client, signing, reference, verifierKey(ws, o))
		verified[0].Err = state.Missing(ctx, client, reference, verified[0].Err)
		results = append(results, verified...)
	}
	return results, nil
}

// verifySelection verifies the selected releases of the catalogue.
func (e *env) verifySelection(ctx context.Context, o verifyOptions) ([]state.Verification, error) {
	ws, patterns, err := e.selected(ctx, "verify", o.selection, o.all)
	if err != nil {
		return nil, err
	}
	client, err := ws.registry(o.registry)
	if err != nil {
		return nil, err
	}
	signing, err := ws.operatorVerifying(ctx, o.registry, client)
	if err != nil {
		return nil, err
	}
	tags, err := ws.recordTags(ctx, client, patterns)
	if err != nil {
		return nil, err
	}
	var results []state.Verification
	for _, tag := range tags {
		verified := state.VerifyReference(ctx, client, signing, tag, verifierKey(ws, o.registry))
		if errors.Is(verified[0].Err, registry.ErrNotFound) {
			verified[0].Err = &fault.Fault{Err: verified[0].Err, Fix: "libre push publishes it"}
		}
		results = append(results, verified...)
	}
	e.addFixes(ctx, ws, o.registry, signing, patterns, results)
	if !o.rebuild {
		return results, nil
	}
	rebuilt, err := e.rebuild(ctx, ws, o.registry, signing, patterns)
	return append(results, rebuilt...), err
}

// recordTags are the tags of the records of the selected releases.
func (ws *workspace) recordTags(ctx context.Context, client *registry.Client, patterns []catalog.Pattern) ([]name.Tag, error) {
	evaluation, err := ws.evaluate(ctx, nix.Request{Patterns: patterns})
	if err != nil {
		return nil, err
	}
	var tags []name.Tag
	for _, ref := range state.RecordRefs(patterns, evaluation.Apps) {
		tag, err := client.Tag(ref)
		if err != nil {
			return nil, err
		}
		tags = append(tags, tag)
	}
	return tags, nil
}

// addFixes adds a fix to results that do not verify because a tag was moved or an
// attachment is missing, as far as the catalogue can be evaluated.
func (e *env) addFixes(ctx context.Context, ws *workspace, o registryOptions, signing *state.Signing, patterns []catalog.Pattern, results []state.Verification) {
	if !slices.ContainsFunc(results, func(r state.Verification) bool { return r.Err != nil && !state.IsUnknown(r.Err) }) {
		return
	}
	reader, err := e.comparer(ctx, ws, o, "")
	if err != nil {
		return
	}
	reader.Signing, reader.CopyTo = signing, nil
	releases, evaluation, err := reader.Releases(ctx, nix.Request{Patterns: patterns})
	if err != nil {
		return
	}
	for _, status := range reader.Status(ctx, releases, evaluation, true) {
		for _, lacks := range status.Lacks {
			for i := range results {
				if results[i].Err != nil && results[i].Reference == lacks.Reference {
					results[i].Err = &fault.Fault{Err: results[i].Err, Fix: status.Fix}
				}
			}
		}
		for _, moved := range status.Moved {
			for i := range results {
				if results[i].Err != nil && results[i].Reference == moved.Reference && moved.Signed != "" {
					results[i].Err = status.Err
				}
			}
		}
	}
}

// rebuild builds the selected images again, and compares them with what is published.
func (e *env) rebuild(ctx context.Context, ws *workspace, o registryOptions, signing *state.Signing, patterns []catalog.Pattern) ([]state.Verification, error) {
	reader, err := e.comparer(ctx, ws, o, "")
	if err != nil {
		return nil, err
	}
	builder, err := ws.builder(ctx, "")
	if err != nil {
		return nil, err
	}
	progress := e.Progress()
	defer progress.Close()
	watcher := &buildWatcher{env: e, progress: progress}
	builder.Jobs, builder.Watcher = runtime.NumCPU(), watcher
	reader.Signing, reader.Warn = signing, watcher.Warn
	return builder.VerifyRebuilt(ctx, reader, nix.Request{Patterns: patterns})
}

// verifier verifies a reference. It needs no catalogue, and no registry but the
// reference's own.
func (e *env) verifier(ctx context.Context, o registryOptions, reference string) (*workspace, *registry.Client, *state.Signing, error) {
	ws, err := e.registryWorkspace()
	if err != nil {
		return nil, nil, nil, err
	}
	if len(o.to) == 0 && (ws.settings.Registry == "" || !strings.HasPrefix(reference, ws.settings.Registry+"/")) {
		prefix, err := prefixOf(reference)
		if err != nil {
			return nil, nil, nil, err
		}
		o.to = []string{prefix}
	}
	client, err := ws.registry(o)
	if err != nil {
		return nil, nil, nil, err
	}
	signing, err := ws.operatorVerifying(ctx, o, client)
	return ws, client, signing, err
}

// verifierKey is the public key's file, for cosign commands of results that do not
// verify.
func verifierKey(ws *workspace, o registryOptions) string {
	names := []string{o.key}
	for _, key := range ws.settings.Sign.PublicKeys {
		names = append(names, key.File)
	}
	for _, key := range append(names, ws.settings.Sign.Key) {
		if base, found := strings.CutSuffix(key, ".key"); found {
			return base + ".pub"
		} else if key != "" {
			return key
		}
	}
	return ""
}

func (e *env) printVerified(results []state.Verification, o verifyOptions) error {
	table := ui.Table{Header: []string{"REFERENCE", "RESULT", "CHECKED"}, Sentences: []int{2}, Style: func(column int, cell string) ui.Style {
		return map[state.State]ui.Style{state.Verified: ui.OK, state.Failed: ui.Error, state.Withdrawn: ui.Error, state.Moved: ui.Error, state.Unknown: ui.Warn}[state.State(cell)]
	}}
	failed, gone := 0, 0
	var unknown, moved []error
	list := []verifiedJSON{}
	for _, r := range results {
		reference, outcome := r.Reference, r.State()
		if r.Digest != (name.Digest{}) && !strings.Contains(reference, "@") {
			reference += "@" + r.Digest.DigestStr()
		}
		switch outcome {
		case state.Moved:
			moved = append(moved, r.Err)
		case state.Unknown:
			unknown = append(unknown, r.Err)
		case state.Withdrawn:
			gone++
		case state.Failed:
			failed++
		}
		if r.Err != nil && strings.Contains(r.Err.Error(), r.Reference) {
			e.Errorf("%s", r.Err)
		} else if r.Err != nil {
			e.Errorf("%s: %s", r.Reference, r.Err)
		}
		r.Checks = append([]string{}, r.Checks...) // a list in JSON, even if it is empty
		table.Rows = append(table.Rows, []string{reference, string(outcome), checkedOf(r)})
		list = append(list, verifiedEntry(r, reference))
		if r.Command != "" && o.cosign {
			e.Requestedf("%s", r.Command)
		}
	}
	print := func() error { return e.Table(table) }
	if o.json {
		print = func() error { return e.JSON(list) }
	}
	if err := print(); err != nil {
		return err
	}
	if failed > 0 {
		err := fmt.Errorf("%d of %d could not be verified", failed, len(results))
		return cmp.Or(credentialsError(unknown), err)
	}
	if err := stateError("images and records", len(results), unknown, moved); err != nil || gone == 0 {
		return err
	}
	return fmt.Errorf("%d of %d are withdrawn", gone, len(results))
}

// checkedOf says what was verified of a reference, besides its result.
func checkedOf(r state.Verification) string {
	checked := slices.Clone(r.Checks)
	if r.SignedAs != "" {
		checked = append(checked, "signed as "+r.SignedAs)
	}
	if r.VEX != nil {
		checked = append(checked, r.VEX.String())
	}
	if r.RefusedWithdrawal {
		checked = append(checked, "an attached withdrawal does not verify and is ignored")
	}
	return strings.Join(checked, ", ")
}

func verifiedEntry(r state.Verification, reference string) verifiedJSON {
	entry := verifiedJSON{
		Reference: reference, Kind: r.Kind, Verified: r.Err == nil, Result: string(r.State()), Checks: r.Checks, VEX: r.VEX,
		SignedAs: r.SignedAs, Command: r.Command, OldKey: r.OldKey, RefusedWithdrawal: r.RefusedWithdrawal,
	}
	if r.Err != nil {
		entry.Error = r.Err.Error()
	}
	if w := state.AsWithdrawn(r.Err); w != nil {
		entry.Withdrawn = &withdrawnJSON{w.Date, w.By, w.Reason, w.Instead}
	}
	return entry
}

// withdrawnJSON says that a release is withdrawn.
type withdrawnJSON struct {
	Date    string `json:"date"` // YYYY-MM-DD
	By      string `json:"by"`   // the key or the identity that signed the withdrawal
	Reason  string `json:"reason"`
	Instead string `json:"instead,omitempty"` // the newest release that is not withdrawn; absent if there is none
}

// verifiedJSON is one image or record of `verify --json`.
type verifiedJSON struct {
	Reference         string            `json:"reference"`
	Kind              string            `json:"kind"`               // image, release or rebuild
	Verified          bool              `json:"verified"`           // true if everything is right
	Result            string            `json:"result"`             // verified, failed, withdrawn, moved, or unknown: it cannot be read
	Checks            []string          `json:"checks"`             // what was verified: signature, sbom cyclonedx, sbom spdx, provenance, tag
	VEX               *state.VEXSummary `json:"vex,omitempty"`      // of an image that verifies
	SignedAs          string            `json:"signedAs,omitempty"` // the NAME:TAG in the signature
	Command           string            `json:"command,omitempty"`  // the cosign command that verifies the signature
	OldKey            string            `json:"oldKey,omitempty"`   // the former key that signed it
	Error             string            `json:"error,omitempty"`
	Withdrawn         *withdrawnJSON    `json:"withdrawn,omitempty"`         // of a release or image that is withdrawn
	RefusedWithdrawal bool              `json:"refusedWithdrawal,omitempty"` // something is attached that claims to be a withdrawal, and does not verify
}
