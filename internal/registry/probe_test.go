package registry

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/fault"
)

func TestProbe(t *testing.T) {
	for _, kind := range kinds {
		for _, immutable := range []string{"", "refused", "ignored"} {
			t.Run(kind+" "+immutable, func(t *testing.T) {
				registry := record(t, handlerOf(t, kind))
				written := map[string]int{}
				registry.meddle = func(_ int, what string, w http.ResponseWriter, r *http.Request) bool {
					if what != "PUT manifests" || strings.Contains(r.URL.Path, "/sha256:") {
						return immutable != "" && r.Method == http.MethodDelete
					}
					written[r.URL.Path]++
					switch {
					case immutable == "refused" && written[r.URL.Path] > 1:
						w.WriteHeader(http.StatusPreconditionFailed)
						_, _ = io.WriteString(w, `{"errors":[{"code":"PRECONDITION","message":"immutable"}]}`)
						return true
					case immutable == "ignored" && written[r.URL.Path] > 1:
						w.WriteHeader(http.StatusCreated)
						return true
					}
					return false
				}
				// The second time the tag exists already.
				want := Probe{Attachments: true, Referrers: kind == "referrers" || kind == "libre serve", Overwrites: immutable == ""}
				for range 3 {
					if got, err := registry.client(t).Probe(context.Background(), ProbeRef); err != nil || got != want {
						t.Errorf("%+v, want %+v, %v", got, want, err)
					}
				}
				if kind != "docker-registry" && immutable == "" {
					if tags, err := registry.client(t).Tags(context.Background(), "libre-probe"); err != nil || len(tags) > 0 {
						t.Errorf("left %q, %v", tags, err)
					}
				}
			})
		}
	}
}

func TestProbeRefused(t *testing.T) {
	homeless(t)
	for _, tokens := range []bool{false, true} {
		registry := guarded(t, handlerOf(t, "no referrers"), "publisher", tokens)
		if _, err := registry.client(t).Probe(context.Background(), ProbeRef); !fault.Is(err, fault.Credentials) {
			t.Errorf("%v", err)
		}
	}
}
