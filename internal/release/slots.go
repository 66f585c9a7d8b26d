package release

import (
	"context"
	"fmt"
)

// Slots limits how many images are worked on at once, to its capacity.
type Slots chan struct{}

// Take waits for a free slot. If there is none yet, it calls waits with the reason. It fails
// only if ctx ends first. Call free when the work is done.
func (s Slots) Take(ctx context.Context, waits func(reason string)) (free func(), err error) {
	free = func() { <-s }
	select {
	case s <- struct{}{}:
		return free, nil
	default:
		waits(fmt.Sprintf("for its turn, %d at once", cap(s)))
	}
	select {
	case s <- struct{}{}:
		return free, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
