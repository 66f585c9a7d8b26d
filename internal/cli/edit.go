package cli

import (
	"cmp"
	"context"
	"errors"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/libresh/libre/internal/bump"
	"github.com/libresh/libre/internal/edit"
	"github.com/libresh/libre/internal/text"
	"github.com/libresh/libre/internal/ui"
)

type editOptions struct {
	app, variant string
	folder       string // "" for the default
	save         bool
	stdout       bool
	json         bool
}

func (e *env) editCommand() *cobra.Command {
	var o editOptions
	cmd := &cobra.Command{
		Use:   "edit APP [FOLDER] | edit --save [FOLDER]",
		Short: "Change an app's source by hand, and keep it as a patch",
		Long: `Unpack the source of an app into a folder, as libre builds it: with the app's
changes, and those of --variant. The folder is new or empty, by default
APP-VARIANT beside the catalogue. It is a git repository: git diff shows what
differs from the source.

edit --save, in that folder, writes what differs as a patch into the catalogue,
apps/APP/patches/changes-VARIANT.patch, and lists it in the definition. Without
--variant, the file is changes.patch and applies to all variants. Save as often
as you like. The package version rises if the registry of libre.yaml has it.
Files that a .gitignore names are left out.

A patch contains only text. Add binary files, executable files and links by
addToSource in the definition.

If you run edit again, also after an update, it starts from the saved patch.
Changes that no longer apply are then in files that end in .rej.

The output is the folder. With --save it has one line per file; --stdout prints
the patch, and writes nothing.`,
		Example: `  libre edit docs --variant lyon
  libre edit docs --variant lyon ~/docs-lyon
  libre edit --save ~/docs-lyon`,
		Args: takes(0, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.parse(args); err != nil {
				return usageError{err}
			}
			if o.save {
				return e.runEditSave(cmd.Context(), o)
			}
			return e.runEdit(cmd.Context(), o)
		},
		ValidArgsFunction: e.completePatch,
	}
	flags := cmd.Flags()
	flags.StringVar(&o.variant, "variant", "", "change the variant `NAME` only")
	flags.BoolVar(&o.save, "save", false, "write what differs as a patch into the catalogue")
	flags.BoolVar(&o.stdout, "stdout", false, "print the patch, and write nothing")
	flags.BoolVar(&o.json, "json", false, "print the result as JSON")
	cmd.MarkFlagsMutuallyExclusive("save", "variant")
	cmd.MarkFlagsMutuallyExclusive("stdout", "json")
	return cmd
}

func (o *editOptions) parse(args []string) error {
	switch {
	case o.save && len(args) > 1:
		return errors.New("--save takes the folder only: libre edit --save [FOLDER]")
	case o.save:
		o.folder = append(args, ".")[0]
		return nil
	case o.stdout:
		return errors.New("--stdout prints a patch: give --save too")
	case len(args) == 0:
		return errors.New("give an app: libre edit APP [FOLDER]; or libre edit --save in its folder")
	}
	o.app, o.folder = args[0], append(args, "")[1]
	return nil
}

func (e *env) runEdit(ctx context.Context, o editOptions) error {
	ws, err := e.workspace()
	if err != nil {
		return err
	}
	folder := o.folder
	if folder == "" {
		name := o.app
		if o.variant != "" {
			name += "-" + o.variant
		}
		folder = filepath.Join(filepath.Dir(ws.dir), name)
	}
	bumper, progress, err := e.editing(ws, o.app)
	if err != nil {
		return err
	}
	defer progress.Close()
	edited, err := bumper.EditedSource(ctx, o.app, o.variant)
	if err != nil {
		return err
	}
	var unpacked *edit.Unpacked
	err = bumper.Unpacked(ctx, edited, func(source string) error {
		unpacked, err = edit.Unpack(ctx, folder, source, edited.Patch, edit.Origin{
			Catalogue: ws.dir, App: edited.App, Variant: edited.Variant, Version: edited.Version, Identity: edited.Identity,
		})
		return err
	})
	progress.Close()
	if err != nil {
		return err
	}
	return e.printEdit(o, folder, edited, unpacked)
}

// editing returns a bumper that reports what it does with an app.
func (e *env) editing(ws *workspace, app string) (*bump.Bumper, *ui.Progress, error) {
	bumper, err := ws.bumper()
	if err != nil {
		return nil, nil, err
	}
	progress := e.Progress()
	bumper.Progress = func(app, doing string) { progress.Set(app, ui.State{Phase: ui.Looking, Message: doing}) }
	bumper.Published = ws.isPublished
	bumper.Progress(app, "reading the definition")
	return bumper, progress, nil
}

// editJSON is the result of `edit --json`.
type editJSON struct {
	App      string   `json:"app"`
	Variant  string   `json:"variant,omitempty"` // absent for all variants
	Folder   string   `json:"folder"`            // that has the source now
	Rejected []string `json:"rejected"`          // files to which the saved patch does not apply any more: FILE.rej has the rest
	LeftOut  []string `json:"leftOut"`           // paths that are named .git in the source
}

func (e *env) printEdit(o editOptions, folder string, edited *bump.EditedSource, unpacked *edit.Unpacked) error {
	for _, name := range unpacked.Rejected {
		e.Warnf("%s does not apply to %s: the rest is in %s.rej", edited.File, text.Name(name), text.Name(name))
	}
	for _, name := range unpacked.LeftOut {
		e.Warnf("%s of the source is left out", text.Name(name))
	}
	e.Notef("%s %s is in %s; next: change it, then libre edit --save %s", edited.Name(), edited.Version, folder, folder)
	if o.json {
		return e.JSON(editJSON{edited.App, edited.Variant, folder, append([]string{}, unpacked.Rejected...), append([]string{}, unpacked.LeftOut...)})
	}
	return e.Printf("%s\n", folder)
}

// inCatalogue finds the catalogue that a folder was made from, unless -C names a catalogue.
func (e *env) inCatalogue(dir string) (*workspace, error) {
	e.directory = cmp.Or(e.directory, dir)
	return e.workspace()
}
