package serve

import (
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/web"
)

// refuseStrangers refuses what no client of a registry sends, and pages in a browser do:
// a Host that is no loopback address, as when a page's own name was made to lead
// here (DNS rebinding), a request from another page or for a part of one, and
// content that a form can send. Nothing that is served is a page, so that no page
// has business here.
// https://fetch.spec.whatwg.org/#origin-header
// https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header
func refuseStrangers(r *http.Request) error {
	if !web.IsLoopback(r.Host) {
		return errorf(http.StatusMisdirectedRequest, "DENIED", "%q is no name of this registry: ask for localhost", r.Host)
	}
	// A header that is there twice is read by each as it likes: all of it counts.
	isPage := func(site string) bool { return site != "none" }
	if len(r.Header["Origin"]) > 0 || slices.ContainsFunc(r.Header["Sec-Fetch-Site"], isPage) {
		return errorf(http.StatusForbidden, "DENIED", "pages in a browser have no access")
	}
	if content := strings.Join(r.Header["Content-Type"], ", "); content != "" {
		mediaType, _, err := mime.ParseMediaType(content)
		if err != nil || mediaType == "application/x-www-form-urlencoded" || strings.HasPrefix(mediaType, "multipart/") {
			return errContentType(content)
		}
	}
	return nil
}

func errContentType(content string) error {
	return errorf(http.StatusUnsupportedMediaType, "UNSUPPORTED", "content of type %q is not taken", content)
}

// blobTypes are what clients call the bytes of a blob; go-containerregistry calls
// a request without a body JSON.
var blobTypes = []string{"", "application/octet-stream", "application/json"}

func checkBlobType(r *http.Request) error {
	content := r.Header.Get("Content-Type")
	mediaType, _, _ := mime.ParseMediaType(content)
	if content != "" && mediaType == "" || !slices.Contains(blobTypes, mediaType) {
		return errContentType(content)
	}
	return nil
}
