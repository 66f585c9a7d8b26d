package web

import "testing"

// A server's message is one line. It has no repetitions, and does not repeat the status.
func TestRefusalSaysNothingTwice(t *testing.T) {
	for body, want := range map[string]string{
		"<html>\r\n<head><title>413 Request Entity Too Large</title></head>\r\n<body>\r\n<center><h1>413 Request Entity Too Large</h1></center>\r\n<hr><center>nginx/1.22.1</center>\r\n</body>\r\n</html>": ": nginx/1.22.1",
		"<html><head><title>Error</title></head><body><p>Your upload exceeds 100 MB.<p>Your upload exceeds 100 MB.</body></html>":                                                                           ": Error Your upload exceeds 100 MB",
		`{"message":"Request Entity Too Large"}`: "",
		`{"errors":[{"code":"SIZE_INVALID","message":"too large"},{"code":"SIZE_INVALID","message":"too large"}]}`: ": SIZE_INVALID: too large",
		`{"errors":[{"code":"UNKNOWN","detail":"5 GB at most"}]}`:                                                  ": UNKNOWN: 5 GB at most",
		"Request Entity Too Large\n": "",
		"error code: 413":            ": error code: 413",
		"":                           "",
		"\x1b[31mno\x1b[0m\r\nmore":  ": no more",
	} {
		if got := Refusal(413, []byte(body)); got != "413 Request Entity Too Large"+want {
			t.Errorf("%q: %s", body, got)
		}
	}
}
