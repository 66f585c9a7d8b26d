package bump

import "testing"

func TestVersionInATag(t *testing.T) {
	for tag, want := range map[string]string{
		"v1.2.3": "1.2.3", "1.2.3": "1.2.3", "release-1.2": "1.2", "v1.2.3-rc.1": "1.2.3-rc.1", "server/v2.0": "2.0", "@scope/pkg@1.1.0": "1.1.0",
		"log4j-2.17.1": "2.17.1", "s3proxy-2.1.0": "2.1.0", "oauth2-proxy-7.6.0": "7.6.0", "k8s-v1.2.3": "1.2.3", "k8s-v1.2.3-rc1": "1.2.3-rc1",
		"RELEASE.2024-01-02T03-04-05Z": "2024-01-02T03-04-05Z", "2024-05": "2024-05", "v5": "5", "nightly": "nightly", "": "",
	} {
		if got := versionIn(tag); got != want {
			t.Errorf("%q has version %q, want %q", tag, got, want)
		}
	}
}
