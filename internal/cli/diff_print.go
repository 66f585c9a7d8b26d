package cli

import (
	"context"
	"path/filepath"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/bump"
	"github.com/libresh/libre/internal/compare"
	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/scan"
	"github.com/libresh/libre/internal/text"
	"github.com/libresh/libre/internal/ui"
)

// namesDatabase reports whether a flag or a setting names a database.
func (d *differ) namesDatabase() bool {
	return d.options.database != "" || d.ws.settings.Scan.Database != ""
}

// hasDatabase reports whether there is a database, without downloading one.
func (d *differ) hasDatabase() bool {
	store := &scan.Store{Dir: filepath.Join(d.ws.cacheDir, "vulnerabilities")}
	return d.namesDatabase() || store.Has(scan.Distribution)
}

// scan finds the vulnerabilities of both sides, if there is a database.
func (d *differ) scan(ctx context.Context, sides ...*diffSide) error {
	if !d.hasDatabase() {
		return nil
	}
	matcher, database, err := d.vulnerabilities(ctx, d.ws, d.options.database)
	if err != nil && !d.namesDatabase() && ctx.Err() == nil {
		d.Warnf("vulnerabilities are not compared: %s", err)
		return nil
	}
	if err != nil {
		return err
	}
	defer matcher.Close()
	for _, side := range sides {
		for component, image := range side.Images {
			answers, err := side.answers[component](ctx)
			if err != nil {
				return err
			}
			found, err := matcher.Scan(ctx, database, scan.Image{Name: side.Name, Root: component}, image.SBOM, answers)
			if err != nil {
				return err
			}
			image.Findings = found.Findings
		}
	}
	return nil
}

// notes reads upstream's notes of the versions in between, for an upgrade. The comparison
// is complete without them, so a failure is a warning.
func (d *differ) notes(ctx context.Context, to *diffSide, comparison *compare.Comparison) []compare.Note {
	if comparison.Upgrade.Direction != "upgrade" {
		return []compare.Note{}
	}
	if to.source == nil || !to.source.Source.Followed() {
		return nil
	}
	client, err := d.ws.upstream()
	if err == nil {
		found, notesErr := bump.Notes(ctx, client, *to.source, comparison.From.Version, comparison.To.Version)
		if notesErr == nil {
			notes := []compare.Note{}
			for _, note := range found {
				notes = append(notes, compare.Note(note))
			}
			return notes
		}
		err = notesErr
	}
	d.Warnf("upstream's notes are not read: %s", err)
	return nil
}

// print prints a comparison in the requested format.
func (d *differ) print(c *compare.Comparison) error {
	switch {
	case d.options.json:
		return d.JSON(c)
	case d.options.format == "markdown":
		return d.PrintMarkdown(c.Markdown(ui.Size, 0))
	case d.env.options.StdoutTerminal:
		return d.printSections(c)
	}
	for _, line := range c.Summary(ui.Size) {
		d.Notef("%s", text.Line(line))
	}
	table := ui.Table{}
	for _, row := range c.Rows(ui.Size) {
		table.Rows = append(table.Rows, []string{string(row.Section), row.Component, row.Change, row.Name, row.From, row.To})
	}
	for _, note := range c.Notes {
		table.Rows = append(table.Rows, []string{"note", "", "", note.Version, "", note.Page})
	}
	return d.Table(table)
}

// printSections prints a comparison for a terminal: the summary, then one table for each
// section, then upstream's notes.
func (d *differ) printSections(c *compare.Comparison) error {
	var b strings.Builder
	for _, line := range c.Summary(ui.Size) {
		b.WriteString(text.Line(line) + "\n")
	}
	if err := d.Printf("%s", b.String()); err != nil {
		return err
	}
	rows := c.Rows(ui.Size)
	for _, section := range compare.Sections {
		table := sectionTable(section, rows, len(c.Components) > 1)
		if section == compare.ReleaseSection || len(table.Rows) == 0 { // the summary has the versions
			continue
		}
		if err := d.Printf("\n%s\n", section.Title()); err != nil {
			return err
		}
		if err := d.Table(table); err != nil {
			return err
		}
	}
	if len(c.Notes) == 0 {
		return nil
	}
	return d.Printf("\nUpstream's notes\n\n%s", strings.TrimRight(c.NotesText(), "\n")+"\n")
}

// sectionTable returns a section's rows, with short digests.
func sectionTable(section compare.Section, rows []compare.Row, named bool) ui.Table {
	table := ui.Table{Header: []string{"CHANGE", "COMPONENT", "NAME", "VALUE"}, Sentences: []int{3}, Style: changeStyle}
	if !named {
		table.Header, table.Sentences = slices.Delete(table.Header, 1, 2), []int{2}
	}
	for _, row := range rows {
		if row.Section != section {
			continue
		}
		value := strings.Join(nonEmpty(row.From, row.To), " → ")
		cells := []string{row.Change, row.Component, row.Name, longDigest().ReplaceAllString(value, "$1")}
		if !named {
			cells = slices.Delete(cells, 1, 2)
		}
		table.Rows = append(table.Rows, cells)
	}
	return table
}

// longDigest matches a digest. People need only its first digits.
var longDigest = lazyregexp.New(`(sha256:[0-9a-f]{12})[0-9a-f]{52}`)

func changeStyle(column int, cell string) ui.Style {
	if column != 0 {
		return ui.None
	}
	return map[string]ui.Style{"added": ui.OK, "fixed": ui.OK, "removed": ui.Error, "new": ui.Error, "changed": ui.Warn}[cell]
}
