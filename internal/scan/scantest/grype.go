//go:build interop

package scantest

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	v6 "github.com/anchore/grype/grype/db/v6"
	"github.com/spf13/afero"
)

// WriteGrype writes a database of records as the real grype keeps it in its cache folder.
func WriteGrype(cache string, records ...Record) error {
	dir := filepath.Join(cache, fmt.Sprint(v6.ModelVersion))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := Write(dir, time.Now(), records...); err != nil {
		return err
	}
	_, err := v6.WriteImportMetadata(afero.NewOsFs(), dir, "")
	return err
}
