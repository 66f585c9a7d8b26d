package publish

import "context"

// step is one step of publishing. done checks the state and changes nothing. do does what
// is missing. Doing a step twice changes nothing.
type step struct {
	name string
	done func(context.Context) (skip, error)
	do   func(context.Context) error
}

// skip is the reason why a step has nothing to do; "" if it has.
type skip string

const notSigned skip = "nothing is signed"

// driver runs a step.
type driver func(context.Context, step) (skip, error)

// perform runs a step unless it is done.
func perform(ctx context.Context, s step) (skip, error) {
	skipped, err := s.done(ctx)
	if err != nil || skipped != "" {
		return skipped, err
	}
	return "", s.do(ctx)
}

// ask checks whether a step is done, for a dry run.
func ask(ctx context.Context, s step) (skip, error) { return s.done(ctx) }
