package registry

import (
	"net/http"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/fault"
)

func TestCheckPushSaysToCreateARepositoryThatIsMissing(t *testing.T) {
	registry := record(t, handlerOf(t, "referrers"))
	registry.meddle = func(_ int, _ string, w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(`{"errors":[{"code":"NAME_UNKNOWN","message":"no such repository"}]}`))
		return true
	}
	err := registry.client(t).CheckPush(t.Context(), imageRef)
	if !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), "NAME_UNKNOWN: no such repository") || !strings.HasPrefix(fault.Fix(err), "create the repository") {
		t.Errorf("%v, fix %q", err, fault.Fix(err))
	}
}
