package cli

import (
	"errors"
	"fmt"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/spf13/cobra"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/release"
	"github.com/libresh/libre/internal/ui"
)

func (a *app) statusCommand() *cobra.Command {
	var o publishOptions
	var deep bool
	cmd := &cobra.Command{
		Use:   "status SELECTION... | --all",
		Short: "Show what is published",
		Long: `Shows for each selected release whether it is published as the catalogue has it now:
its record verifies and names the same image keys, and each image's tag points to the
record's digest. --deep verifies every attachment of every image as well.

stdout has a line for each release: app/variant, tag, state, digest, reason. It is an
error if something is published that is not as it should be, or if that cannot be
told; what is not published yet is none.`,
		Example: "  libre status --all --to registry.example/lasuite",
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			p, err := a.place()
			if err != nil {
				return err
			}
			patterns, err := p.selection(args, o.all)
			if errors.Is(err, catalog.ErrNothingSelected) {
				return a.nothingSelected(ctx, p, "status")
			}
			if err != nil {
				return err
			}
			publisher, err := a.publisher(ctx, p, o)
			if err != nil {
				return err
			}
			if publisher.Signing, err = p.signing(ctx, o, publisher.Registry, false); err != nil {
				return err
			}
			all, err := publisher.Status(ctx, nix.Request{Patterns: patterns}, deep)
			table := ui.Table{Header: []string{"RELEASE", "TAG", "STATE", "DIGEST", "REASON"}}
			wrong := 0
			for _, s := range all {
				if s.State != string(release.AsWanted) && s.State != release.NotPublishedYet {
					wrong++
				}
				digest := ""
				if s.Digest != (name.Digest{}) {
					digest = s.Digest.DigestStr()
				}
				table.Rows = append(table.Rows, []string{s.Name, s.Tag, s.State, digest, s.Reason})
			}
			if tableErr := a.Table(table); err == nil {
				err = tableErr
			}
			if err == nil && wrong > 0 {
				err = fmt.Errorf("%d of %d releases are not as they should be", wrong, len(all))
			}
			return err
		},
		ValidArgsFunction: a.completeSelection,
	}
	o.add(cmd)
	cmd.Flags().BoolVar(&o.all, "all", false, "select every release")
	cmd.Flags().BoolVar(&deep, "deep", false, "verify every attachment of every image")
	return cmd
}
