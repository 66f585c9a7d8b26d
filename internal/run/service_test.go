package run

import (
	"context"
	"errors"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/libresh/libre/internal/compose"
	"github.com/libresh/libre/internal/describe/describetest"
	"github.com/libresh/libre/internal/instance"
	"github.com/libresh/libre/internal/run/engine"
)

// refusing is an engine whose containers refuse every connection.
type refusing struct{ engine.Engine }

func (refusing) Dial(context.Context, string) (net.Conn, error) {
	return nil, &net.OpError{Op: "dial", Net: "tcp4", Err: syscall.ECONNREFUSED}
}

// refused is a runner with a service that has a check, and refuses every connection.
func refused(t *testing.T) (r *runner, service string) {
	t.Helper()
	i, err := instance.New(describetest.App(t, "docs"), instance.Options{Port: 8080})
	if err != nil {
		t.Fatal(err)
	}
	r = &runner{Options: Options{Instance: i}, engine: refusing{}, failed: make(chan error, 1), finished: map[string]bool{}}
	for _, s := range i.Services {
		if s.Job == "" && s.Health != nil {
			r.project = &compose.Project{Services: map[string]*compose.Service{s.Name: {}}}
			return r, s.Name
		}
	}
	t.Fatal("no service of docs has a check")
	return nil, ""
}

func setPatience(t *testing.T, limit time.Duration) {
	t.Helper()
	former := patience
	t.Cleanup(func() { patience = former })
	patience = limit
}

// A service that refuses connections, and runs on, ends the wait within its limit.
func TestServiceThatIsNeverReadyIsNamed(t *testing.T) {
	r, service := refused(t)
	setPatience(t, 250*time.Millisecond)
	err := r.awaitHealth(t.Context(), service)
	if want := service + " is not ready after 250ms: dial tcp4: connection refused"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// Ctrl-C, and the end of another service, end the wait at once.
func TestWaitForAServiceEndsAtOnce(t *testing.T) {
	r, service := refused(t)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if err := r.awaitHealth(ctx, service); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	ended := errors.New("the other has ended")
	r.failed <- ended
	if err := r.awaitHealth(t.Context(), service); !errors.Is(err, ended) {
		t.Errorf("another service ends: %v", err)
	}
}
