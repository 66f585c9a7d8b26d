package image

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// For each key that OCI defines, our label wins. Without one, upstream's label stays, unless it
// would be wrong for our image, or comes from the base.
func TestRelabel(t *testing.T) {
	const oci = "org.opencontainers.image."
	has := map[string]string{"maintainer": "upstream", "io.buildah.version": "1.40", "sh.libre.app": "another"}
	for _, key := range []string{"created", "authors", "url", "documentation", "source", "version", "revision", "vendor",
		"licenses", "ref.name", "title", "description", "base.digest", "base.name"} {
		has[oci+key] = "upstream"
	}
	ours := map[string]string{oci + "title": "ours", oci + "licenses": "ours", oci + "version": "ours", "sh.libre.app": "ours"}
	kept := map[string]string{
		"maintainer": "upstream", "sh.libre.app": "ours", oci + "title": "ours", oci + "licenses": "ours", oci + "version": "ours",
		oci + "authors": "upstream", oci + "url": "upstream", oci + "documentation": "upstream", oci + "source": "upstream",
		oci + "vendor": "upstream", oci + "description": "upstream",
	}
	all := func(string) bool { return true }
	if diff := cmp.Diff(kept, relabel(has, all, ours)); diff != "" {
		t.Errorf("upstream's:\n%s", diff)
	}
	none := func(string) bool { return false }
	want := map[string]string{"maintainer": "upstream", "sh.libre.app": "ours", oci + "title": "ours", oci + "licenses": "ours", oci + "version": "ours"}
	if diff := cmp.Diff(want, relabel(has, none, ours)); diff != "" {
		t.Errorf("the base's:\n%s", diff)
	}
	// A debug image keeps the labels of the image that it is made from.
	if diff := cmp.Diff(kept, relabel(kept, all, ours)); diff != "" {
		t.Errorf("again:\n%s", diff)
	}
}
