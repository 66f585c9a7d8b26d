package serve

import (
	"net/http"
	"path/filepath"
	"testing"
	"time"
)

// Of too many uploads, the one that has waited the longest makes room for a new one. If none
// has waited, the new one is refused.
func TestIdleUploadsMakeRoom(t *testing.T) {
	was := minIdle
	defer func() { minIdle = was }()
	minIdle = time.Hour
	host := serve(t, "", filepath.Join(t.TempDir(), "w"))
	begin := func() response { return request(t, "POST", host, "/v2/a/blobs/uploads/", "") }
	var first []response
	for range maxUploads {
		first = append(first, begin())
	}
	if last := begin(); last.status != http.StatusTooManyRequests || last.code() != "TOOMANYREQUESTS" {
		t.Errorf("%d %s", last.status, last.body)
	}
	minIdle = 0
	sent := func(r response) int {
		return request(t, "PUT", host, r.header.Get("Location")+"?digest="+digestOf("content"), "content").status
	}
	request(t, "PATCH", host, first[0].header.Get("Location"), "con")
	if got := begin(); got.status != http.StatusAccepted {
		t.Errorf("one more: %d %s", got.status, got.body)
	}
	if got := request(t, "PUT", host, first[0].header.Get("Location")+"?digest="+digestOf("content"), "tent").status; got != http.StatusCreated {
		t.Errorf("the one that was used: %d", got)
	}
	if got := sent(first[1]); got != http.StatusNotFound {
		t.Errorf("the one that has waited: %d", got)
	}
	if got := sent(first[2]); got != http.StatusCreated {
		t.Errorf("the next: %d", got)
	}
}
