package publish

import "context"

// step is one step of publishing. done asks what is there and changes nothing; do does
// what is not done. Doing a step again does nothing.
type step struct {
	name string
	done func(context.Context) (skip, error)
	do   func(context.Context) error
}

// skip says why a step has nothing to do; "" where it has.
type skip string

const notSigned skip = "nothing is signed"

// driver runs a step.
type driver func(context.Context, step) (skip, error)

// perform does a step that is not done.
func perform(ctx context.Context, s step) (skip, error) {
	skipped, err := s.done(ctx)
	if err != nil || skipped != "" {
		return skipped, err
	}
	return "", s.do(ctx)
}

// ask finds out whether a step is done, as a dry run does.
func ask(ctx context.Context, s step) (skip, error) { return s.done(ctx) }
