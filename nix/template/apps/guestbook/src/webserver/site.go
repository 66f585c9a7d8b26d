package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// site is a folder of files, read once at the start: it is part of an image and
// does not change while it is served. A request can only find what is listed
// here, so no path, however odd, leads out of the folder.
type site struct {
	pages   map[string]page // by URL path
	folders map[string]bool // by URL path, without the slash at the end
}

// page is one file of a site and, where there is FILE.gz beside FILE, its
// compressed form.
type page struct {
	contentType string
	plain, gzip file // gzip.path is "" where there is none
}

type file struct {
	path string
	// etag is a hash of the content. There is no Last-Modified: files of an
	// image all have the same time, in whatever version of the site.
	etag string
}

// loadSite lists the files below root, through symbolic links too, for a site
// built by Nix may be made of them. index.html stands for its folder.
func loadSite(root string) (*site, error) {
	s := &site{pages: map[string]page{}, folders: map[string]bool{}}
	if err := s.addFolder(root, "/"); err != nil {
		return nil, fmt.Errorf("reading the site: %w", err)
	}
	if _, ok := s.pages["/"]; !ok {
		return nil, fmt.Errorf("reading the site: %s has no index.html", root)
	}
	return s, nil
}

func (s *site) addFolder(folder, urlPath string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	names := map[string]bool{}
	for _, entry := range entries {
		names[entry.Name()] = true
	}
	for _, entry := range entries {
		name := filepath.Join(folder, entry.Name())
		info, err := os.Stat(name) // entry.Info would not follow links
		if err != nil {
			return err
		}
		if info.IsDir() {
			s.folders[urlPath+entry.Name()] = true
			if err := s.addFolder(name, urlPath+entry.Name()+"/"); err != nil {
				return err
			}
			continue
		}
		if original, isGzip := strings.CutSuffix(entry.Name(), ".gz"); isGzip && names[original] {
			continue // the compressed form of another file
		}
		p := page{contentType: contentType(name)}
		if p.plain, err = hashFile(name, ""); err != nil {
			return err
		}
		if names[entry.Name()+".gz"] {
			if p.gzip, err = hashFile(name+".gz", "-gzip"); err != nil {
				return err
			}
		}
		s.pages[urlPath+entry.Name()] = p
		if entry.Name() == "index.html" {
			s.pages[urlPath] = p
		}
	}
	return nil
}

func hashFile(name, suffix string) (file, error) {
	f, err := os.Open(name)
	if err != nil {
		return file{}, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return file{}, err
	} else if !info.Mode().IsRegular() {
		return file{}, fmt.Errorf("%s is not a regular file", name)
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return file{}, err
	}
	return file{path: name, etag: `"` + hex.EncodeToString(hash.Sum(nil)[:16]) + suffix + `"`}, nil
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	p, ok := s.pages[r.URL.Path]
	switch {
	case ok:
		p.serve(w, r)
	case s.folders[r.URL.Path]:
		// Relative, so that it holds behind a proxy that serves the site
		// under another path.
		to := url.URL{Path: "./" + path.Base(r.URL.Path) + "/"}
		w.Header().Set("Location", to.String())
		w.WriteHeader(http.StatusMovedPermanently)
	default:
		http.Error(w, "not found", http.StatusNotFound)
	}
}

func (p page) serve(w http.ResponseWriter, r *http.Request) {
	chosen, encoding := p.plain, ""
	if p.gzip.path != "" && acceptsGzip(r.Header.Values("Accept-Encoding")) {
		chosen, encoding = p.gzip, "gzip"
	}
	f, err := os.Open(chosen.path)
	if err != nil {
		log.Print(err)
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	defer f.Close()

	header := w.Header()
	header.Set("Content-Type", p.contentType)
	header.Set("ETag", chosen.etag)
	// Keep it, and ask each time whether it still holds: names stay the same
	// from one version of the site to the next.
	header.Set("Cache-Control", "no-cache")
	if p.gzip.path != "" {
		header.Set("Vary", "Accept-Encoding")
	}
	if encoding != "" {
		header.Set("Content-Encoding", encoding)
	}
	// The zero time means no Last-Modified; the ETag answers If-None-Match.
	http.ServeContent(w, r, "", time.Time{}, f)
}

// acceptsGzip reads Accept-Encoding as in RFC 9110, section 12.5.3: what is
// listed with a weight of 0 is refused, and * means all that is not listed.
func acceptsGzip(headers []string) bool {
	accepted := false
	for _, item := range strings.Split(strings.Join(headers, ","), ",") {
		coding, weight, hasWeight := strings.Cut(item, ";")
		coding = strings.ToLower(strings.TrimSpace(coding))
		if coding != "gzip" && coding != "*" {
			continue
		}
		ok := true
		if hasWeight {
			value, found := strings.CutPrefix(strings.ToLower(strings.TrimSpace(weight)), "q=")
			q, err := strconv.ParseFloat(value, 64)
			ok = found && err == nil && q > 0
		}
		if coding == "gzip" {
			return ok
		}
		accepted = ok
	}
	return accepted
}
