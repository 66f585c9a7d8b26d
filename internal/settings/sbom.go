package settings

import (
	"errors"
	"net/mail"
	"net/url"
)

// SBOM configures the SBOMs of the catalogue.
type SBOM struct {
	Creator string // URL or email address of who makes the images; empty for none
}

func (s *SBOM) keys() []key {
	return []key{
		{"creator", "", "the URL or email address of who makes the images, for their SBOMs", "creator: https://coop.example", text(&s.Creator, checkCreator)},
	}
}

func checkCreator(creator string) error {
	if address, err := mail.ParseAddress(creator); err == nil && address.Address == creator {
		return nil
	}
	if page, err := url.Parse(creator); err == nil && (page.Scheme == "https" || page.Scheme == "http") && page.Host != "" && page.User == nil {
		return nil
	}
	return errors.New("expected a URL or an email address")
}
