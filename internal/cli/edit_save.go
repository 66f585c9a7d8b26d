package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/libresh/libre/internal/bump"
	"github.com/libresh/libre/internal/edit"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/patch"
	"github.com/libresh/libre/internal/text"
	"github.com/libresh/libre/internal/ui"
)

// savedJSON is the result of `edit --save --json`.
type savedJSON struct {
	App     string       `json:"app"`
	Variant string       `json:"variant,omitempty"` // absent for all variants
	From    bump.Version `json:"from"`              // the version before
	To      bump.Version `json:"to"`                // the same, unless it was published
	Patch   string       `json:"patch"`             // file in the catalogue
	Changes []string     `json:"changes"`           // files of the source that the patch changes
	Files   []string     `json:"files"`             // that were written, in the catalogue: none if nothing has changed since
}

func (e *env) runEditSave(ctx context.Context, o editOptions) error {
	folder, origin, err := edit.Open(ctx, o.folder)
	if err != nil {
		return err
	}
	ws, err := e.inCatalogue(origin.Catalogue)
	if err != nil {
		return err
	}
	changes, err := edit.Compare(ctx, folder)
	if err != nil {
		return err
	}
	if len(changes.Ignored) > 0 {
		e.Notef("left out, because a .gitignore names it: %s", text.Enumerate(changes.Ignored, ", ", 5))
	}
	if o.stdout {
		if changes.Patch == nil {
			return nil
		}
		return e.Printf("%s", changes.Patch.Text)
	}
	bumper, progress, err := e.editing(ws, origin.App)
	if err != nil {
		return err
	}
	defer progress.Close()
	edited, err := bumper.EditedSource(ctx, origin.App, origin.Variant)
	if err != nil {
		return err
	}
	if err := edited.Moved(origin.Identity, origin.Version); err != nil {
		return err
	}
	saved, err := e.saveEdited(ctx, ws, bumper, progress, edited, changes.Patch)
	progress.Close()
	if err != nil {
		return err
	}
	if len(saved.Files) > 0 {
		e.Notef("next: libre build %s", selectionOf(edited))
	}
	return e.printSaved(o, saved)
}

// saveEdited writes the patch of an edited source. It returns nil if nothing differs from
// the source.
func (e *env) saveEdited(ctx context.Context, ws *workspace, bumper *bump.Bumper, progress *ui.Progress, edited *bump.EditedSource, content *patch.Patch) (savedJSON, error) {
	saved := savedJSON{App: edited.App, Variant: edited.Variant, From: edited.At(), To: edited.At(), Patch: edited.File, Changes: []string{}, Files: []string{}}
	switch {
	case content == nil && edited.Listed:
		return saved, &fault.Fault{Err: fmt.Errorf("nothing differs from the source: %s is kept", edited.File), Fix: "to drop the patch, remove it from the definition"}
	case content == nil:
		progress.Close()
		e.Notef("nothing to save: the folder has no changes")
		return saved, nil
	}
	saved.Changes = content.Files
	if edited.Same(content) {
		progress.Close()
		e.Notef("nothing to save: %s has these changes already", edited.File)
		return saved, nil
	}
	write, err := e.bumpWriter(ctx, ws, bumpOptions{}, bumper, progress)
	if err != nil {
		return saved, err
	}
	result, err := bumper.SaveEdited(ctx, edited, content, func(result *bump.Result) (bool, error) { return write.result(ctx, result) })
	if err != nil {
		return saved, err
	}
	progress.Close()
	for _, warning := range result.Warnings {
		e.Warnf("%s", warning)
	}
	saved.To, saved.Files = result.To, slices.Sorted(maps.Keys(result.After))
	return saved, nil
}

func (e *env) printSaved(o editOptions, saved savedJSON) error {
	if o.json {
		return e.JSON(saved)
	}
	for _, file := range saved.Files {
		if err := e.Printf("%s\n", file); err != nil {
			return err
		}
	}
	return nil
}

// selectionOf selects the images that a patch changes.
func selectionOf(edited *bump.EditedSource) string {
	if edited.Variant == "" {
		return edited.App
	}
	return "'" + edited.App + "/*/" + edited.Variant + "'"
}
