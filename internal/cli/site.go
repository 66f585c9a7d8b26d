package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/libresh/libre/internal/atomicfile"
	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/site"
	"github.com/libresh/libre/internal/ui"
)

type siteOptions struct {
	registry registryOptions
	output   string
	database string
	releases int
	notes    bool
	json     bool
}

// siteList is the name of the file that lists what site wrote.
const siteList = ".libre-site"

func (e *env) siteCommand() *cobra.Command {
	var o siteOptions
	cmd := &cobra.Command{
		Use:   "site --output DIR",
		Short: "Write the public page of the catalogue",
		Long: `Write the public page of the catalogue, as files for any web server: its apps,
with their releases in the registry; of each release the images, with digests,
signatures, contents, licences and known vulnerabilities; what changed since the
release before; and the commands that pull, verify, run and render it. The pages
are in English and French. catalogue.json and feed.atom are for programs.

site verifies all signatures. For a release that does not verify, the page has
only its reference and digest, and site prints a warning. It fetches manifests,
configurations and SBOMs, and no layers. It keeps SBOMs in a local index, so
that the next run fetches new ones only.

Vulnerabilities are shown if there is a database: one that scan has downloaded,
scan.database in libre.yaml, or --db.

DIR is new, empty, or has the files of an earlier run. These are replaced at the
end, and files of former pages are removed. Other files in DIR stay. If a
registry does not answer, everything stays as it was.`,
		Example: "  libre site --output public\n  libre serve --site public",
		Args:    takes(0, 0),
		RunE:    func(cmd *cobra.Command, args []string) error { return e.runSite(cmd.Context(), o) },
	}
	flags := cmd.Flags()
	o.registry.addFlags(cmd)
	o.registry.signer.addFlags(cmd)
	flags.StringVar(&o.output, "output", "", "write the pages into `DIR`")
	flags.StringVar(&o.database, "db", "", "use the vulnerability database in `DIR|FILE|URL` (default: scan.database in libre.yaml, else the one that scan has downloaded)")
	o.releases = 10
	flags.Var(number{&o.releases, 1, unlimited}, "releases", "show the contents of the newest `N` releases of each variant, and only the digests of older ones")
	flags.BoolVar(&o.notes, "notes", true, "read upstream's release notes")
	flags.BoolVar(&o.json, "json", false, "print the result as JSON")
	return cmd
}

func (e *env) runSite(ctx context.Context, o siteOptions) error {
	if o.output == "" {
		return usageError{errors.New("no folder to write the pages into: give --output DIR")}
	}
	ws, err := e.workspace()
	if err != nil {
		return err
	}
	folder, err := atomicfile.OpenFolder(o.output, siteList)
	if err != nil {
		return foreignFiles(o.output, err)
	}
	defer folder.Discard()
	apps, err := e.evaluateApps(ctx, ws, nix.Request{Patterns: catalog.All, Described: true})
	if err != nil {
		return err
	}
	r, err := e.newSiteReader(ctx, ws, o)
	if err != nil {
		return err
	}
	defer r.close()
	files := &counted{folder: folder}
	writer, err := site.NewWriter(r.catalogue, files.write)
	if err != nil {
		return err
	}
	if err := r.addApps(ctx, writer, apps); err != nil {
		return err
	}
	if err := writer.Finish(); err != nil {
		return err
	}
	if err := folder.Replace(); err != nil {
		return foreignFiles(o.output, err)
	}
	wrote := siteJSON{filepath.Join(o.output, "index.html"), int(files.n.Load()), len(apps), int(r.releases.Load())}
	e.Notef("wrote %s about %s and %s", ui.Count(wrote.Files, "file"), ui.Count(wrote.Apps, "app"), ui.Count(wrote.Releases, "release"))
	if o.json {
		return e.JSON(wrote)
	}
	return e.Printf("%s\n", wrote.Index)
}

// siteJSON is the result of `site --json`.
type siteJSON struct {
	Index    string `json:"index"`    // file of the first page
	Files    int    `json:"files"`    // how many were written
	Apps     int    `json:"apps"`     // how many the pages show
	Releases int    `json:"releases"` // how many the pages show
}

// foreignFiles says what to do about files that site did not write.
func foreignFiles(dir string, err error) error {
	if !errors.Is(err, atomicfile.ErrForeign) {
		return fmt.Errorf("writing the pages: %w", err)
	}
	return &fault.Fault{Doing: "writing the pages into " + dir, Err: err, Fix: "choose another folder with --output"}
}
