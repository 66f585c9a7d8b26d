package containerfile

import (
	"strings"
	"testing"

	"github.com/libresh/libre/internal/fault"
)

// A value that is not the URL of a proxy appears in no step and no error.
func TestProxyIsAURL(t *testing.T) {
	for _, text := range []string{
		"ghp_0123456789abcdef", "hunter2", "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----", "proxy.example:3128", "user:secret@proxy.example",
		"postgres://user:secret@db.example/db", "https://hooks.example/services/T0/secret", "https://api.example/?token=secret", "http://proxy.example#secret", "http://", "http://a b/", "file:///etc/passwd", " http://proxy.example", "http://x\n",
	} {
		_, err := newProxy(text)
		if err == nil || strings.Contains(fault.Reason(err), text) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := newProxy("env://NOPE"); err == nil || !strings.Contains(err.Error(), "the variable NOPE, named by build.proxy in libre.yaml, is not set; set it") {
		t.Errorf("a variable that is not set: %v", err)
	}
	for _, text := range []string{"", "http://proxy.example:3128", "https://user:secret@proxy.example", "socks5h://127.0.0.1:1080", "http://[2001:db8::1]:8080/"} {
		if got, err := newProxy(text); err != nil || string(got) != text {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}
