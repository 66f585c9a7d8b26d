// Package review finds what a reviewer of a new version should know: whether the catalogue's
// own changes still apply to the source, and what else changed in it.
package review

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/libresh/libre/internal/text"
)

// ChangeKind is the kind of a change to an app's source.
type ChangeKind string

const (
	PatchChange      ChangeKind = "patch"      // patchSource
	SubstituteChange ChangeKind = "substitute" // substituteSource, one text in one file
	AddChange        ChangeKind = "add"        // addToSource
)

// Change is one change that the catalogue makes to an app's source.
type Change struct {
	Variant string // "" for a change of the app itself; a variant's changes are made on top of these
	Kind    ChangeKind
	Name    string // of a patch, for messages: fix.patch
	Patch   []byte
	File    string // in the source, to substitute text in or to add
	From    string
	To      string
	Added   string // path on this machine of the file or folder to add
}

// Verdict is the result of trying a change on a new source.
type Verdict string

const (
	Applies     Verdict = "applies"   // it applies, possibly at other lines
	AppliesFuzz Verdict = "fuzz"      // GNU patch ignores some context to make it fit
	InUpstream  Verdict = "upstream"  // the new source already has the patch; the build fails with it
	Dropped     Verdict = "dropped"   // the new source already has the patch, which was removed
	Fails       Verdict = "fails"     // the build fails with it
	Replaces    Verdict = "replaces"  // it hides a file that is new or changed upstream
	Untried     Verdict = "not tried" // unknown before the build
)

// PatchCheck is the verdict on one change, and the reason.
type PatchCheck struct {
	Variant string     `json:"variant,omitempty"`
	Kind    ChangeKind `json:"kind"`
	Name    string     `json:"name"` // the patch, or otherwise the file in the source
	Verdict Verdict    `json:"verdict"`
	Reason  string     `json:"reason,omitempty"` // one line; contains outside text
	Places  []Place    `json:"places,omitempty"` // parts of a patch that fail
}

// Place is a part of a patch that fails.
type Place struct {
	File   string `json:"file"`           // in the source
	Hunk   string `json:"hunk,omitempty"` // @@ -10,6 +10,8 @@, "" for the whole file
	Reason string `json:"reason"`
}

// Breaks reports whether a build with the change would fail.
func (p PatchCheck) Breaks() bool { return p.Verdict == Fails || p.Verdict == InUpstream }

// String returns the check on one line. It may contain outside text.
func (p PatchCheck) String() string {
	subject := map[ChangeKind]string{
		PatchChange:      "patch ",
		SubstituteChange: "substitution in ",
		AddChange:        "addition of ",
	}[p.Kind] + p.Name
	if p.Variant != "" {
		subject += " (variant " + p.Variant + ")"
	}
	verdict := map[Verdict]string{
		Applies:     "applies",
		AppliesFuzz: "applies with fuzz",
		InUpstream:  "is already upstream",
		Dropped:     "is already upstream, and dropped",
		Fails:       "no longer applies",
		Replaces:    "applies, and hides a file of upstream",
		Untried:     "was not tried",
	}[p.Verdict]
	if why := p.Why(); why != "" {
		return subject + " " + verdict + ": " + why
	}
	return subject + " " + verdict
}

// Why returns the reason of the verdict and the places that fail, or "" if there is none.
func (p PatchCheck) Why() string {
	var why []string
	if p.Reason != "" {
		why = append(why, p.Reason)
	}
	for _, place := range p.Places {
		why = append(why, place.String())
	}
	return text.Enumerate(why, "; ", 5)
}

func (p Place) String() string {
	if p.Hunk == "" {
		return p.File + ": " + p.Reason
	}
	return p.File + " " + p.Hunk + ": " + p.Reason
}

// CheckChanges tries changes on a new source, in order, each variant's on top of the app's own,
// as nix/change-source.sh does. It returns one check per change. If a change fails, later
// changes are tried without it. before is the source that the changes were made for, or nil if
// it is not available.
//
// A change that does not apply is no error. An error is a *PatchError, or an error from reading
// a source or writing to a temporary folder.
func CheckChanges(ctx context.Context, before, after fs.FS, changes []Change) ([]PatchCheck, error) {
	checks := make([]PatchCheck, len(changes))
	trees := map[string]*tree{"": newTree(after)}
	checkOne := func(i int) (err error) {
		c := changes[i]
		if trees[c.Variant] == nil {
			trees[c.Variant] = trees[""].clone()
		}
		p := checker{before, after, trees[c.Variant]}
		if checks[i], err = p.checkChange(ctx, c); err != nil {
			return fmt.Errorf("trying %s against the new source: %w", checks[i].Name, err)
		}
		return nil
	}
	for i, c := range changes {
		if c.Variant == "" {
			if err := checkOne(i); err != nil {
				return nil, err
			}
		}
	}
	for i, c := range changes {
		if c.Variant != "" {
			if err := checkOne(i); err != nil {
				return nil, err
			}
		}
	}
	return checks, nil
}

type checker struct {
	before, after fs.FS
	tree          *tree // the new source, with the changes so far
}

func (p *checker) checkChange(ctx context.Context, c Change) (PatchCheck, error) {
	if c.File != "" {
		c.File = path.Clean(c.File) // a path like plugins/ becomes plugins
	}
	check := PatchCheck{Variant: c.Variant, Kind: c.Kind, Name: c.File}
	var err error
	switch c.Kind {
	case PatchChange:
		check.Name = c.Name
		err = p.patch(ctx, c, &check)
	case SubstituteChange:
		err = p.substitute(c, &check)
	case AddChange:
		err = p.add(c, &check)
	default:
		return check, fmt.Errorf("unknown kind of change %q", c.Kind)
	}
	var why obstacle
	if errors.As(err, &why) {
		check.Verdict, check.Reason, err = Untried, string(why), nil
	}
	return check, err
}
