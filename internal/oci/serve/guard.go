package serve

import (
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/web"
)

// refuseBrowsers refuses requests that a page in a browser can send, and a registry's client
// does not: requests to a host that is not a loopback address (DNS rebinding), requests from a
// page of any origin, and requests with the content type of a form.
// https://fetch.spec.whatwg.org/#origin-header
// https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header
func refuseBrowsers(r *http.Request) error {
	if !web.IsLoopback(r.Host) {
		return errorf(http.StatusMisdirectedRequest, "DENIED", "%q is not a name of this registry: use localhost", r.Host)
	}
	// Programs differ in which of two headers they read: look at all.
	isPage := func(site string) bool { return site != "none" }
	if len(r.Header["Origin"]) > 0 || slices.ContainsFunc(r.Header["Sec-Fetch-Site"], isPage) {
		return errorf(http.StatusForbidden, "DENIED", "pages in a browser have no access to this registry")
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
	return errorf(http.StatusUnsupportedMediaType, "UNSUPPORTED", "content of type %q is not accepted", content)
}

// blobTypes are the content types that clients send with a blob. go-containerregistry
// sends JSON with an empty body.
var blobTypes = []string{"", "application/octet-stream", "application/json"}

func checkBlobType(r *http.Request) error {
	content := r.Header.Get("Content-Type")
	mediaType, _, _ := mime.ParseMediaType(content)
	if content != "" && mediaType == "" || !slices.Contains(blobTypes, mediaType) {
		return errContentType(content)
	}
	return nil
}
