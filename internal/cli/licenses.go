package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/libresh/libre/internal/license"
	"github.com/libresh/libre/internal/sbom"
	"github.com/libresh/libre/internal/ui"
)

type licensesOptions struct {
	images   imageOptions // or references
	registry registryOptions
	list     bool
	notices  string // file; "-" for stdout
	json     bool
}

func (e *env) licensesCommand() *cobra.Command {
	var o licensesOptions
	cmd := &cobra.Command{
		Use:   "licenses SELECTION... | REFERENCE... | --all",
		Short: "List the licenses of what images contain",
		Long: `List the licenses of the components of images, as SPDX expressions, and which
components the policy of libre.yaml refuses. libre builds images that are not
built. Of published images, it reads the attested SBOM: give references.

A license is declared by the component's authors or its definition, or concluded
from its files. NOASSERTION means that it is not known.

licenses in libre.yaml has the policy: deny, allow and exceptions. push refuses
a release whose components it does not allow.

The table has: component, version, license, declared or concluded, images, and
why the policy refuses it. --list prints the SPDX identifiers instead, each with
the number of its components. --notices writes a file with the texts of the
licenses, to ship with the images.

Exit code 1 if the policy refuses a component, or an exception has expired.`,
		Example: "  libre licenses guestbook\n  libre licenses --all --list\n  libre licenses docs/backend/default --notices NOTICES.txt",
		RunE: func(cmd *cobra.Command, args []string) error {
			o.images.selection = args
			return e.runLicenses(cmd.Context(), o)
		},
		ValidArgsFunction: e.completeSelection,
	}
	o.registry.addReferenceFlags(cmd, "reference")
	cmd.Flags().BoolVar(&o.images.all, "all", false, "select every image")
	cmd.Flags().StringSliceVar(&o.images.systems, "system", nil, "`SYSTEM` of the images (default: this machine's)")
	cmd.Flags().BoolVar(&o.list, "list", false, "print SPDX identifiers, each with the number of its components")
	cmd.Flags().StringVar(&o.notices, "notices", "", "write the texts of the licenses to `FILE`, - for stdout")
	cmd.Flags().BoolVar(&o.json, "json", false, "print the result as JSON")
	addOutputFlag(cmd, &o.images.output)
	cmd.MarkFlagsMutuallyExclusive("list", "notices", "json")
	return cmd
}

func (e *env) runLicenses(ctx context.Context, o licensesOptions) error {
	ws, documents, err := e.documents(ctx, o)
	if err != nil {
		return err
	}
	policy := &ws.settings.Licenses
	rows := licenseRows(documents, policy)
	switch {
	case o.list:
		err = e.Table(licenseList(rows))
	case o.json:
		err = e.JSON(rows)
	case o.notices != "":
	default:
		err = e.Table(licenseTable(rows))
	}
	if err != nil {
		return err
	}
	refused := 0
	for _, row := range rows {
		if row.Refused != "" {
			refused++
		}
	}
	expired := policy.Expired(time.Now())
	for _, err := range expired {
		e.Errorf("%s", err)
	}
	switch {
	case refused > 0:
		return fmt.Errorf("the policy refuses %d of %d components: replace them, or add exceptions with a reason below licenses in libre.yaml", refused, len(rows))
	case len(expired) > 0:
		return errReported
	}
	return nil
}

// documents returns the SBOMs of the selected images or references.
func (e *env) documents(ctx context.Context, o licensesOptions) (*workspace, []*sbom.Document, error) {
	if i := slices.IndexFunc(o.images.selection, isRepository); i >= 0 {
		return nil, nil, noTag(o.images.selection[i])
	}
	references := slices.DeleteFunc(slices.Clone(o.images.selection), func(word string) bool { return !isReference(word) })
	switch {
	case len(references) == 0:
		return e.selectedDocuments(ctx, o)
	case len(references) < len(o.images.selection) || o.images.all:
		return nil, nil, usageError{errors.New("give references or selections, not both")}
	case o.notices != "":
		return nil, nil, usageError{fmt.Errorf("--notices needs the definition in the catalogue: select images instead of %s", references[0])}
	}
	return e.attestedDocuments(ctx, o.registry, references)
}

func (e *env) selectedDocuments(ctx context.Context, o licensesOptions) (*workspace, []*sbom.Document, error) {
	ws, request, err := e.request(ctx, "licenses", o.images)
	if err != nil {
		return nil, nil, err
	}
	images, err := e.contents(ctx, ws, o.images.output, request)
	if err == nil && o.notices != "" {
		err = e.writeNotices(ctx, ws, o.images.output, images, o.notices)
	}
	var documents []*sbom.Document
	for _, image := range images {
		documents = append(documents, image.Document)
	}
	return ws, documents, err
}

// licenseRow is one component of `licenses --json`, of all images that have it.
type licenseRow struct {
	Component string   `json:"component"`
	Version   string   `json:"version,omitempty"`
	PURL      string   `json:"purl,omitempty"`
	License   string   `json:"license"`           // SPDX expression, or NOASSERTION
	Source    string   `json:"source"`            // declared, concluded, or unknown
	Images    []string `json:"images"`            // APP-COMPONENT-VARIANT:TAG
	Refused   string   `json:"refused,omitempty"` // why the policy refuses it
}

// licenseRows lists the components of images by name and version, each of them once.
func licenseRows(documents []*sbom.Document, policy *license.Policy) []*licenseRow {
	rows := []*licenseRow{}
	known := map[[3]string]*licenseRow{}
	for _, document := range documents {
		image := document.Subject.Name + ":" + document.Subject.Version
		for _, c := range document.Components {
			expression, source := c.License.Expression, "declared"
			switch {
			case expression == "":
				expression, source = "NOASSERTION", "unknown"
			case c.License.Concluded:
				source = "concluded"
			}
			key := [3]string{c.Name, cmp.Or(c.PURL, c.Version), expression}
			row := known[key]
			if row == nil {
				row = &licenseRow{Component: c.Name, Version: c.Version, PURL: c.PURL, License: expression, Source: source}
				row.Refused = policy.Refuse(license.Subject{Name: c.Name, PURL: c.PURL, Expression: c.License.Expression}, time.Now())
				known[key] = row
				rows = append(rows, row)
			}
			if !slices.Contains(row.Images, image) {
				row.Images = append(row.Images, image)
			}
		}
	}
	slices.SortStableFunc(rows, func(a, b *licenseRow) int {
		return cmp.Or(strings.Compare(a.Component, b.Component), strings.Compare(a.Version, b.Version))
	})
	return rows
}

func licenseTable(rows []*licenseRow) ui.Table {
	table := ui.Table{Header: []string{"COMPONENT", "VERSION", "LICENSE", "SOURCE", "IMAGES", "REFUSED"}, Sentences: []int{4, 5}, Style: func(column int, cell string) ui.Style {
		if column == 5 && cell != "" {
			return ui.Error
		}
		return ui.None
	}}
	for _, row := range rows {
		table.Rows = append(table.Rows, []string{row.Component, row.Version, row.License, row.Source, strings.Join(row.Images, " "), row.Refused})
	}
	return table
}

// licenseList counts the components of each SPDX identifier.
func licenseList(rows []*licenseRow) ui.Table {
	counts := map[string]int{}
	for _, row := range rows {
		ids, err := license.IDs(row.License)
		if err != nil {
			ids = []string{row.License}
		}
		for _, id := range ids {
			counts[id]++
		}
	}
	table := ui.Table{Header: []string{"LICENSE", "COMPONENTS"}}
	for id, n := range counts {
		table.Rows = append(table.Rows, []string{id, fmt.Sprint(n)})
	}
	slices.SortFunc(table.Rows, func(a, b []string) int { return strings.Compare(a[0], b[0]) })
	return table
}
