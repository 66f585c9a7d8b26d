package prune

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/release/state"
)

// readStatements reads the statements of withdrawn releases at all records of the selected
// variants.
func (w *world) readStatements(ctx context.Context, selected map[string]bool) error {
	if w.signing == nil {
		return nil
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(state.Readers)
	for ref := range w.records {
		if !selected[ref.Repository] {
			continue
		}
		group.Go(func() error {
			said, err := w.statement(ctx, ref.Repository, w.tags[ref.Repository][ref.Tag])
			w.mu.Lock()
			defer w.mu.Unlock()
			w.statements[ref] = said
			if said.Version > w.newest[ref.Repository].Version {
				w.newest[ref.Repository] = said
			}
			return err
		})
	}
	return group.Wait()
}

// statement returns the withdrawals in the statement that is attached to a manifest.
func (w *world) statement(ctx context.Context, repository, digest string) (state.Withdrawals, error) {
	subject, err := w.digest(repository, digest)
	if err != nil {
		return state.Withdrawals{}, err
	}
	said, err := state.ReadWithdrawals(ctx, w.signing, w.signing.Client.Attachments(subject), subject)
	if err != nil {
		return said, fmt.Errorf("reading what is attached to %s: %w", subject, err)
	}
	return said, nil
}

// keepStatements keeps a release of each variant whose remaining releases would all have an
// older statement of withdrawn releases. It moves the release from going to stays.
func (w *world) keepStatements(going map[catalog.Ref]*Release, stays map[catalog.Ref]string) {
	remaining := map[string]int{} // the newest version at what stays, by repository
	for ref, said := range w.statements {
		if going[ref] == nil {
			remaining[ref.Repository] = max(remaining[ref.Repository], said.Version)
		}
	}
	for _, ref := range sorted(going) {
		said := w.statements[ref].Version
		if said == w.newest[ref.Repository].Version && said > remaining[ref.Repository] {
			stays[ref] = "no other release that stays has the newest statement of withdrawn releases"
			remaining[ref.Repository] = said
			delete(going, ref)
		}
	}
}

// withdrawal returns why a release must stay because of statements of withdrawn releases, or ""
// if it need not. It reads the newest statement of the variant, and those at the release's
// record, images and platforms, which verify reads.
func (w *world) withdrawal(ctx context.Context, r *Release) (why string, err error) {
	const isWithdrawn = "withdrawn, says the registry"
	if w.signing == nil {
		return "", nil
	}
	if newest := w.newest[r.Record.Repository]; newest.Find(r.Record.Tag) != nil {
		return isWithdrawn, nil
	}
	for _, d := range r.Digests {
		if d.Kind == "attachment" {
			continue
		}
		said, err := w.statement(ctx, d.Repository, d.Digest)
		switch {
		case err != nil:
			return "", err
		case said.Find(r.Record.Tag) != nil:
			return isWithdrawn, nil
		case said.Refused:
			return "a statement of withdrawn releases is attached to it that does not verify", nil
		}
	}
	return "", nil
}
