package scantest

import (
	"archive/tar"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	v6 "github.com/anchore/grype/grype/db/v6"
	"github.com/klauspost/compress/zstd"
)

// Publish writes the database in a folder as grype distributes it, for a file server:
// v6/latest.json and the archive that it names. It returns the archive's path.
func Publish(to, dir string) (archive string, err error) {
	folder := filepath.Join(to, "v6")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	description, err := v6.ReadDescription(filepath.Join(dir, v6.VulnerabilityDBFileName))
	if err != nil {
		return "", err
	}
	name := "vulnerability-db_" + description.Built.Format(time.DateOnly) + ".tar.zst"
	archive = filepath.Join(folder, name)
	checksum, err := pack(archive, filepath.Join(dir, v6.VulnerabilityDBFileName))
	if err != nil {
		return "", err
	}
	listing := fmt.Sprintf(`{"status":"active","schemaVersion":%q,"built":%q,"path":%q,"checksum":%q}`,
		description.SchemaVersion, description.Built.Format(time.RFC3339), name, checksum)
	return archive, os.WriteFile(filepath.Join(folder, "latest.json"), []byte(listing), 0o644)
}

func pack(archive, database string) (checksum string, err error) {
	content, err := os.ReadFile(database)
	if err != nil {
		return "", err
	}
	f, err := os.Create(archive)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	compressed, err := zstd.NewWriter(io.MultiWriter(f, sum))
	if err != nil {
		return "", err
	}
	w := tar.NewWriter(compressed)
	if err := w.WriteHeader(&tar.Header{Name: v6.VulnerabilityDBFileName, Mode: 0o644, Size: int64(len(content))}); err != nil {
		return "", err
	}
	if _, err := w.Write(content); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	if err := compressed.Close(); err != nil {
		return "", err
	}
	return fmt.Sprintf("sha256:%x", sum.Sum(nil)), nil
}
