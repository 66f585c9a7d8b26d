package release

import (
	"context"
	"errors"
	"testing"
)

// An image that finds no free slot reports that it waits, gets the next slot, and stops waiting
// after an interruption.
func TestSlotsAreTakenInTurn(t *testing.T) {
	slots := make(Slots, 1)
	var reasons []string
	waits := func(reason string) { reasons = append(reasons, reason) }
	free, err := slots.Take(t.Context(), waits)
	if err != nil || len(reasons) > 0 {
		t.Fatalf("the first: %v, it waits %q", err, reasons)
	}
	interrupted, interrupt := context.WithCancel(t.Context())
	interrupt()
	if _, err := slots.Take(interrupted, waits); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	second, err := slots.Take(t.Context(), func(reason string) {
		waits(reason)
		free()
	})
	if err != nil {
		t.Fatal(err)
	}
	second()
	if len(reasons) != 2 || reasons[1] != "for its turn, 1 at once" {
		t.Errorf("reasons %q", reasons)
	}
}
