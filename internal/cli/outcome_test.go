package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/libresh/libre/internal/release/state"
)

// Images, releases and apps are counted apart, in the closing line and in the error.
func TestImagesAndReleasesAreCountedApart(t *testing.T) {
	var count counts
	count.add("docs/backend/default", state.Held)
	count.add("docs/frontend/default", state.Failed)
	count.add("docs/frontend/default", state.Failed) // in another registry
	count.add("docs/default", state.Held)
	count.add("meet/default", state.Failed)
	count.add("broken", state.Failed)
	if got, want := closing(time.Now(), count), "2 images, 2 releases, 1 app: 2 held, 4 failed, "; !strings.HasPrefix(got, want) {
		t.Errorf("closing line %q, want %q", got, want)
	}
	if got, want := count.someFailed().Error(), "1 of 2 images failed, 1 of 2 releases failed, 1 app cannot be evaluated"; got != want {
		t.Errorf("error %q, want %q", got, want)
	}
}
