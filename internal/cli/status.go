package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/spf13/cobra"

	"github.com/libresh/libre/internal/bump"
	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/release/state"
	"github.com/libresh/libre/internal/ui"
	"github.com/libresh/libre/internal/withdrawn"
)

type statusOptions struct {
	selection []string
	all       bool
	registry  registryOptions
	deep      bool
	json      bool
}

func (e *env) statusCommand() *cobra.Command {
	var o statusOptions
	cmd := &cobra.Command{
		Use:   "status SELECTION... | --all",
		Short: "Show what is published",
		Long: `Show whether each selected release is published as the catalogue defines it:
its record is signed and names the same image keys, each image's tag points to
the digest in the record, and each image and platform has a verified signature,
SBOMs and provenance. --deep reads and verifies all of these. status also shows
upstream's newest version, if it can be found.

States that need an action, which the reason names:

  incomplete  an attachment is missing
  not valid   an attachment does not verify (--deep)
  moved       a tag was moved to something that was not signed for it, which may
              be an attack
  withdrawn   withdrawn.yaml has the release, and the registry says so
  unknown     a registry refuses access or cannot be reached

Exit code 1 if a release is published in another state than the catalogue
defines, or if its state is unknown, 4 if a registry refuses access. A release
that is not published yet is not an error.

The output has one line per release: app/variant, tag, state, digest,
upstream's version, reason.`,
		Example: "  libre status --all --to registry.example/lasuite\n  libre status docs --deep --key cosign.pub",
		RunE: func(cmd *cobra.Command, args []string) error {
			o.selection = args
			return e.runStatus(cmd.Context(), o)
		},
		ValidArgsFunction: e.completeSelection,
	}
	o.registry.addFlags(cmd)
	cmd.Flags().BoolVar(&o.all, "all", false, "select every release")
	cmd.Flags().BoolVar(&o.json, "json", false, "print the result as JSON")
	cmd.Flags().BoolVar(&o.deep, "deep", false, "read and verify every attachment of every image")
	return cmd
}

func (e *env) runStatus(ctx context.Context, o statusOptions) error {
	ws, patterns, err := e.selected(ctx, "status", o.selection, o.all)
	if err != nil {
		return err
	}
	reader, err := e.reader(ctx, ws, o.registry)
	if err != nil {
		return err
	}
	releases, evaluation, err := reader.Releases(ctx, nix.Request{Patterns: patterns})
	if err != nil {
		return err
	}
	newest := e.newest(ctx, ws, evaluation, patterns)
	all := reader.Status(ctx, releases, evaluation, o.deep)
	err = e.printStatus(all, <-newest, o.json)
	total := len(all)
	wrong := slices.DeleteFunc(all, func(s state.Status) bool {
		return slices.Contains([]state.State{state.Published, state.NotPublished, state.Withdrawn}, s.State)
	})
	var unknown, moved []error
	for _, s := range wrong {
		switch s.State {
		case state.Unknown:
			unknown = append(unknown, s.Err)
		case state.Moved:
			moved = append(moved, s.Err)
		}
	}
	if err == nil {
		err = stateError("releases", total, unknown, moved)
	}
	if err == nil && len(wrong) > 0 {
		err = fmt.Errorf("%d of %d releases are not published as the catalogue defines them", len(wrong), total)
	}
	return err
}

func (e *env) printStatus(all []state.Status, newest func(app string) upstreamState, asJSON bool) error {
	table := ui.Table{Header: []string{"RELEASE", "TAG", "STATE", "DIGEST", "UPSTREAM", "REASON"}, Sentences: []int{4, 5}}
	list := []statusJSON{}
	for _, s := range all {
		digest := ""
		if s.Digest != (name.Digest{}) {
			digest = s.Digest.DigestStr()
		}
		app, _, _ := strings.Cut(s.Name, "/")
		table.Rows = append(table.Rows, []string{s.Name, s.Ref.String(), string(s.State), digest, newest(app).String(), s.Reason})
		list = append(list, statusJSON{s.Name, s.Ref.String(), string(s.State), digest, newest(app), s.OldKey, s.Reason, allMoved(s.Moved), allLacks(s.Lacks), s.Withdrawn})
	}
	if asJSON {
		return e.JSON(list)
	}
	return e.Table(table)
}

// statusJSON is one release of `status --json`.
type statusJSON struct {
	Release string `json:"release"` // app/variant
	Tag     string `json:"tag"`     // APP-VARIANT:TAG of the release record
	State   string `json:"state"`   // published, not published, incomplete, not tagged, moved, not signed, other content, not valid, withdrawn, broken or unknown
	Digest  string `json:"digest,omitempty"`
	upstreamState
	OldKey    string           `json:"oldKey,omitempty"` // the former key that signed it: see push --resign
	Reason    string           `json:"reason,omitempty"`
	Moved     []movedJSON      `json:"moved,omitempty"`     // tags of the release that were moved
	Lacks     []lacksJSON      `json:"lacks,omitempty"`     // missing attachments
	Withdrawn []withdrawn.Said `json:"withdrawn,omitempty"` // the withdrawn releases of the app, by withdrawn.yaml
}

// upstreamState is the state of an app's upstream.
type upstreamState struct {
	Newest      string `json:"upstream,omitempty"`      // version
	Held        string `json:"held,omitempty"`          // the version that is not taken, and why
	NotFollowed string `json:"notFollowed,omitempty"`   // why upstream is not asked
	Unknown     string `json:"upstreamError,omitempty"` // why the newest version is unknown
}

func (s upstreamState) String() string {
	switch {
	case s.Unknown != "":
		return "unknown: " + s.Unknown
	case s.Held != "":
		return "held: " + s.Held
	case s.NotFollowed != "":
		return "not followed"
	}
	return s.Newest
}

// newest asks upstream for the newest version of each app.
func (e *env) newest(ctx context.Context, ws *workspace, evaluation *nix.Evaluation, patterns []catalog.Pattern) <-chan func(app string) upstreamState {
	answer := make(chan func(string) upstreamState, 1)
	go func() {
		var results []*bump.Result
		bumper, err := ws.bumper()
		if err == nil {
			results, err = bumper.CheckEvaluated(ctx, evaluation, patterns)
		}
		versions := map[string]upstreamState{}
		defer func() {
			answer <- func(app string) upstreamState {
				state, known := versions[app]
				if !known && err != nil {
					state.Unknown = err.Error()
				}
				return state
			}
		}()
		for _, r := range results {
			state := upstreamState{NotFollowed: r.NotFollowed}
			if r.Err != nil {
				state.Unknown = r.Err.Error()
			}
			if r.Decision != nil {
				state.Newest, state.Held = r.Decision.Newest, r.Decision.HeldBack
				if r.Decision.Kind == bump.Held {
					state.Held = r.Decision.Reason
				}
			}
			versions[r.App] = state
		}
	}()
	return answer
}
