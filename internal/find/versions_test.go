package find

import (
	"testing"

	"github.com/libresh/libre/internal/sbom"
)

// Packages of distributions have versions with an epoch and a revision.
func TestVersionsOfDistributionsAreInRanges(t *testing.T) {
	for _, test := range []struct {
		query, purl string
		want        bool
	}{
		{"pkg:deb/debian/libssl3@>=3.0.17", "pkg:deb/debian/libssl3@3.0.17-1~deb12u2?arch=amd64", true},
		{"pkg:deb/debian/libssl3@<3.0.17", "pkg:deb/debian/libssl3@3.0.17-1~deb12u2", false},
		{"pkg:deb/debian/libssl3@<=3.0.17", "pkg:deb/debian/libssl3@3.0.17-1~deb12u2", true},
		{"pkg:deb/debian/libssl3@3.0.17", "pkg:deb/debian/libssl3@3.0.17-1~deb12u2", true},
		{"pkg:deb/debian/libssl3@<3.0.17-1~deb12u3", "pkg:deb/debian/libssl3@3.0.17-1~deb12u2", true},
		{"pkg:deb/debian/libssl3@<3.0.17-1~deb12u2", "pkg:deb/debian/libssl3@3.0.17-1~deb12u2", false},
		{"pkg:deb/debian/libssl3@<3.0.17", "pkg:deb/debian/libssl3@3.0.9-1", true},
		{"pkg:deb/debian/openssh-server@>=9.2", "pkg:deb/debian/openssh-server@1:9.2p1-2+deb12u6", true},
		{"pkg:deb/debian/openssh-server@<9.2", "pkg:deb/debian/openssh-server@1%3A9.2p1-2%2Bdeb12u6", false},
		{"pkg:deb/debian/openssh-server@>=1:9.3", "pkg:deb/debian/openssh-server@1:9.2p1-2", false},
		{"pkg:apk/alpine/openssl@3.1.4", "pkg:apk/alpine/openssl@3.1.4-r5", true},
		{"pkg:apk/alpine/openssl@<3.1.4", "pkg:apk/alpine/openssl@3.1.4-r5", false},
		{"pkg:apk/alpine/openssl@<3.1.4-r6", "pkg:apk/alpine/openssl@3.1.4-r5", true},
		{"pkg:apk/alpine/openssl@>=3.1.10", "pkg:apk/alpine/openssl@3.1.4-r5", false},
		{"pkg:rpm/redhat/openssl-libs@>=3.0.7", "pkg:rpm/redhat/openssl-libs@3.0.7-24.el9", true},
		{"pkg:rpm/redhat/openssl-libs@<3.0.7-25.el9", "pkg:rpm/redhat/openssl-libs@3.0.7-24.el9", true},
		{"pkg:rpm/redhat/openssl-libs@<3.0.7", "pkg:rpm/redhat/openssl-libs@3.0.7-24.el9", false},
		{"pkg:npm/left@<1.0.0", "pkg:npm/left@1.0.0-rc.1", true},
	} {
		query, err := ParseQuery(test.query)
		if err != nil {
			t.Errorf("%s: %v", test.query, err)
			continue
		}
		if got := query.Selects(&sbom.Component{PURL: test.purl}); got != test.want {
			t.Errorf("%s selects %s: %v", test.query, test.purl, got)
		}
	}
}
