package registry

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/catalog"
)

// Uploads that CheckPush began and no blob used are cancelled once, whatever the registry
// answers, and also after an interruption.
func TestCancelUploads(t *testing.T) {
	for _, kind := range kinds {
		for _, status := range []int{0, 404, 405, 501} {
			registry := record(t, handlerOf(t, kind))
			cancelled := 0
			registry.meddle = func(_ int, what string, w http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodDelete {
					return false
				}
				if cancelled++; status > 0 {
					w.WriteHeader(status)
				}
				return status > 0
			}
			client := registry.client(t)
			for _, ref := range []catalog.Ref{imageRef, imageRef, noteRef} {
				if err := client.CheckPush(t.Context(), ref); err != nil {
					t.Fatal(err)
				}
			}
			ctx, interrupt := context.WithCancel(t.Context())
			interrupt()
			client.CancelUploads(ctx)
			client.CancelUploads(ctx)
			begun := 0
			for _, request := range registry.since() {
				if strings.HasPrefix(request, "POST") {
					begun++
				}
			}
			if begun != cancelled || begun == 0 {
				t.Errorf("%s %d: began %d uploads, cancelled %d", kind, status, begun, cancelled)
			}
			dir, digest, _ := oneImage(t, 100_000)
			client.MarkBlobPresent(mustTag(t, client, imageRef).Context()) // without any blob
			if _, err := client.PushIndex(t.Context(), dir, digest, imageRef); err != nil {
				t.Errorf("%s %d: %v", kind, status, err)
			}
		}
	}
}
