package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/spf13/cobra"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/release/build"
	"github.com/libresh/libre/internal/release/state"
	"github.com/libresh/libre/internal/text"
	"github.com/libresh/libre/internal/ui"
	"github.com/libresh/libre/internal/vex"
)

type vexOptions struct {
	images   imageOptions // or a reference
	registry registryOptions
	format   string
	json     bool
}

func (e *env) vexCommand() *cobra.Command {
	var o vexOptions
	cmd := &cobra.Command{
		Use:   "vex SELECTION... | REFERENCE | --all",
		Short: "Show the statements about vulnerabilities in images",
		Long: `Show the statements about vulnerabilities in the selected images: those in
apps/APP/vex.yaml, and those that follow from patches with fixes. libre builds
images that are not built, because statements are about the components of an
image. push attaches the same statements to the image, as OpenVEX and as
CycloneDX VEX.

An argument with a registry and a tag or digest is a reference: vex shows the
statements that are attached to it and verify. That needs no catalogue: --key,
--identity with --issuer, or sign in the nearest libre.yaml, says who must have
signed.

The table has: image, vulnerability, status, components, where the statement is.
The formats openvex and cyclonedx need one image.`,
		Example: "  libre vex docs\n  libre vex docs/backend/default -o openvex\n  libre vex registry.example/lasuite/docs-default:5.4.1-1 --key cosign.pub",
		RunE: func(cmd *cobra.Command, args []string) error {
			o.images.selection = args
			return e.runVEX(cmd.Context(), o)
		},
		ValidArgsFunction: e.completeSelection,
	}
	o.registry.addReferenceFlags(cmd, "reference")
	cmd.Flags().StringVarP(&o.format, "output-format", "o", "table", "print as `FORMAT`: table, openvex or cyclonedx")
	cmd.Flags().BoolVar(&o.json, "json", false, "print the table as JSON")
	cmd.Flags().BoolVar(&o.images.all, "all", false, "select every image")
	addOutputFlag(cmd, &o.images.output)
	cmd.AddCommand(e.vexAddCommand())
	return cmd
}

// vexTypes are the predicate types of the formats.
var vexTypes = map[string]string{"openvex": vex.OpenVEXType, "cyclonedx": vex.CycloneDXType}

func (e *env) runVEX(ctx context.Context, o vexOptions) error {
	if o.format != "table" && vexTypes[o.format] == "" {
		return usageError{fmt.Errorf("format %q, expected table, openvex or cyclonedx", o.format)}
	}
	if len(o.images.selection) == 1 {
		switch word := o.images.selection[0]; {
		case isRepository(word):
			return noTag(word)
		case isReference(word):
			return e.publishedVEX(ctx, o, word)
		}
	}
	return e.selectedVEX(ctx, o)
}

// vexRow is a row of the table.
type vexRow struct {
	Image         string     `json:"image"`
	Platform      string     `json:"platform"`
	Vulnerability string     `json:"vulnerability"` // its ID
	Aliases       []string   `json:"aliases,omitempty"`
	Status        vex.Status `json:"status"`
	Justification string     `json:"justification,omitempty"`
	Action        string     `json:"action,omitempty"`
	Notes         string     `json:"notes,omitempty"`
	Components    []string   `json:"components,omitempty"` // package URLs; none for the whole image
	Date          string     `json:"date"`                 // YYYY-MM-DD, of the statement
	Expires       string     `json:"expires,omitempty"`    // YYYY-MM-DD, after which it says nothing
	Place         string     `json:"place,omitempty"`      // FILE:LINE, or the patch
}

func vexRows(image, platform string, answers *vex.Answers) []vexRow {
	var rows []vexRow
	for _, s := range answers.All() {
		row := vexRow{
			Image: image, Platform: platform, Vulnerability: s.Vulnerability, Aliases: s.Aliases, Status: s.Status,
			Justification: s.Justification, Action: s.Action, Notes: s.Notes, Components: s.PURLs,
			Date: s.Date.Format(time.DateOnly), Place: s.Place,
		}
		if !s.Expires.IsZero() {
			row.Expires = s.Expires.Format(time.DateOnly)
		}
		rows = append(rows, row)
	}
	return rows
}

// printVEX prints what is said of images. That nothing is said is a note.
func (e *env) printVEX(images []string, rows []vexRow, asJSON bool) error {
	if asJSON {
		return e.JSON(append([]vexRow{}, rows...))
	}
	if len(rows) == 0 {
		e.Notef("there are no statements about %s", text.Enumerate(slices.Compact(images), ", ", 10))
		return nil
	}
	table := ui.Table{Header: []string{"IMAGE", "VULNERABILITY", "STATUS", "COMPONENTS", "WHERE"}, Sentences: []int{2, 3, 4}}
	for _, row := range rows {
		status := string(row.Status)
		if row.Justification != "" {
			status += " (" + row.Justification + ")"
		}
		components := strings.Join(row.Components, ",")
		if components == "" {
			components = "all"
		}
		cells := []string{row.Image, row.Vulnerability, status, components, row.Place}
		if !slices.ContainsFunc(table.Rows, func(other []string) bool { return slices.Equal(other, cells) }) { // of another platform
			table.Rows = append(table.Rows, cells)
		}
	}
	return e.Table(table)
}

// selectedVEX shows what is said of images of the catalogue.
func (e *env) selectedVEX(ctx context.Context, o vexOptions) error {
	ws, request, err := e.request(ctx, "vex", o.images)
	if err != nil {
		return err
	}
	evaluation, err := ws.evaluate(ctx, nix.Request{Patterns: request.Patterns})
	if err != nil {
		return err
	}
	for _, app := range slices.Sorted(maps.Keys(evaluation.Failures)) {
		return evaluation.Failures[app]
	}
	selected, err := catalog.SelectImages(request.Patterns, evaluation.Apps)
	if err != nil {
		return err
	}
	if o.format != "table" && len(selected) != 1 {
		return usageError{fmt.Errorf("%s describes one image, and %d are selected: select one as app/component/variant", o.format, len(selected))}
	}
	stated := map[string][]vex.Statement{}
	var wrong []error
	for _, name := range slices.Sorted(maps.Keys(evaluation.Apps)) {
		statements, err := vex.Load(ws.dir, evaluation.Apps[name], time.Now())
		stated[name], wrong = statements, append(wrong, err)
	}
	if err := errors.Join(wrong...); err != nil {
		return err
	}
	images, err := e.contents(ctx, ws, o.images.output, request)
	if err != nil {
		return err
	}
	var all []*vex.Published
	var rows []vexRow
	var names []string
	for _, image := range images {
		id := image.Target.ID
		names = append(names, id.String())
		published, err := sayOf(image, evaluation.Apps[id.App], stated[id.App], ws.settings.Registries())
		if err != nil {
			return err
		}
		all = append(all, published)
		rows = append(rows, vexRows(id.String(), image.Manifest.Platform.String(), published.Platforms[0].Answers)...)
	}
	e.warnAbsent(all)
	if o.format != "table" {
		return e.printPublished(all[0], o.format)
	}
	return e.printVEX(names, rows, o.json)
}

// sayOf finds what is said of a built image, which will be in some registries.
func sayOf(image build.Described, app catalog.App, stated []vex.Statement, places []string) (*vex.Published, error) {
	id, changes := image.Target.ID, vex.ChangesOf(app, image.Target.ID.Variant)
	answers, err := vex.For(vex.Image{ID: id, Version: app.Version, Changes: changes, SBOM: image.Document}, stated)
	if err != nil {
		return nil, err
	}
	said, err := vex.Digest(id, app.Version, stated, changes, places)
	return &vex.Published{
		Name: id.Name(), Tag: image.Target.Ref.Tag, Places: places, Index: image.Index.Digest, Said: said,
		Platforms: []vex.Platform{{SBOM: image.Document, Answers: answers}},
	}, err
}

// warnAbsent warns about statements whose package no selected image has, and about packages
// that a patch does not answer for.
func (e *env) warnAbsent(all []*vex.Published) {
	has, absent := map[string]bool{}, map[string]vex.Statement{}
	for _, published := range all {
		answers := published.Platforms[0].Answers
		here := map[string]bool{}
		for _, s := range answers.Absent {
			absent[s.Place], here[s.Place] = s, true
		}
		for _, s := range answers.All() {
			has[s.Place] = has[s.Place] || !here[s.Place]
		}
		for _, purl := range answers.Shared {
			e.Warnf("%s: %s is also in a component without the patch, so no statement is made about it", published.Name, purl)
		}
	}
	for _, place := range slices.Sorted(maps.Keys(absent)) {
		if !has[place] {
			e.Warnf("%s: no selected image contains %s, so the statement about %s has no effect; libre sbom lists what they contain", place, absent[place].Package, absent[place].Vulnerability)
		}
	}
}

func (e *env) printPublished(published *vex.Published, format string) error {
	if published.IsEmpty() {
		return &fault.Fault{Err: fmt.Errorf("there are no statements about %s", published.Name), Fix: "write a statement with libre vex add"}
	}
	document, err := published.OpenVEX(1)
	if format == "cyclonedx" {
		document, err = published.CycloneDX(1)
	}
	if err != nil {
		return err
	}
	return e.Printf("%s", document)
}

// publishedVEX shows what is attached to a release or an image.
func (e *env) publishedVEX(ctx context.Context, o vexOptions, word string) error {
	_, client, signing, err := e.verifier(ctx, o.registry, word)
	if err != nil {
		return err
	}
	reference, err := client.Parse(word)
	if err != nil {
		return err
	}
	images, err := state.PlatformImages(ctx, client, signing, reference)
	if err == nil {
		err = e.warnWithdrawn(ctx, client, signing, reference)
	}
	if err != nil {
		return err
	}
	if o.format != "table" {
		return e.printAttested(ctx, signing, images, o.format)
	}
	var rows []vexRow
	var names []string
	for _, image := range images {
		names = append(names, image.Reference)
		answers, err := state.Answers(ctx, signing, image.Digest)
		if err != nil {
			return err
		}
		rows = append(rows, vexRows(image.Reference, image.Platform, answers)...)
	}
	return e.printVEX(names, rows, o.json)
}

// printAttested prints the document of the only image, which is the same for all platforms.
func (e *env) printAttested(ctx context.Context, signing *state.Signing, images []state.PlatformImage, format string) error {
	repositories := map[name.Repository]bool{}
	for _, image := range images {
		repositories[image.Digest.Context()] = true
	}
	if len(repositories) != 1 {
		return usageError{fmt.Errorf("%s describes one image, and the release has %d: name one of them", format, len(repositories))}
	}
	document, err := state.AttestedVEX(ctx, signing, images[0].Digest, vexTypes[format])
	if err != nil {
		return err
	}
	if document.Count == 0 {
		return &fault.Fault{Kind: fault.NotFound, Err: fmt.Errorf("%s has no statements that verify", images[0].Reference), Fix: "write a statement with libre vex add, and push"}
	}
	return e.Printf("%s\n", document.Predicate)
}
