// Package markdown makes Markdown that is harmless on a forge from text from outside:
// release notes, names and messages.
package markdown

import (
	"fmt"
	"html"
	"net/url"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/text"
)

// Note is upstream's notes of one release: outside text.
type Note struct {
	Version string
	Page    string // URL, "" where there is none
	Text    string // Markdown, as forges accept it
}

const (
	maxNotes    = 24 << 10 // bytes of all notes; GitHub takes 64 KiB of a body
	maxNote     = 10 << 10 // bytes of one, so that others have room
	maxNoteLine = 4 << 10
	maxRawNote  = 256 << 10 // bytes that are read
	maxPage     = 500       // bytes of a URL
)

// Notes renders release notes, newest first, as Markdown for a pull request's body (also
// inside of <details>) and as text for a terminal. more is the URL of the full notes, ""
// for none. The result is at most 32 KiB of UTF-8, and is empty or ends with an empty line.
//
// The result is inert: it has no control characters, direction overrides, HTML or images. A
// zero-width space after the sign disables mentions and references to issues, as in
// Dependabot and Renovate. This works in any context, and [text.Plain] removes it for a
// terminal. The URL of an issue becomes its name, owner/repo#1, so that no redirecting
// service is needed. Each note is a block quote, which ends whatever it opens, such as a
// code fence or a list.
func Notes(notes []Note, more string) string {
	var b strings.Builder
	for i, note := range notes {
		title := Defuse(text.Name(note.Version))
		if page := PageURL(note.Page); page != "" {
			title = "[" + strings.NewReplacer("[", "(", "]", ")", "\\", "").Replace(title) + "](" + page + ")"
		}
		room := maxNotes - b.Len() - len(title)
		quote, cut := quoteNote(note.Text, min(maxNote, room))
		if room < 0 || quote == "" && cut > 0 {
			fmt.Fprintf(&b, "The notes of %d more versions are omitted%s.\n\n", len(notes)-i, readAt(more))
			break
		}
		fmt.Fprintf(&b, "#### %s\n\n%s", title, quote)
		if cut > 0 {
			fmt.Fprintf(&b, "Cut here, %d more lines%s.\n\n", cut, readAt(note.Page, more))
		}
	}
	return b.String()
}

// readAt names the first of these that is a URL.
func readAt(places ...string) string {
	for _, place := range places {
		if page := PageURL(place); page != "" {
			return ": " + page + " "
		}
	}
	return ""
}

// quoteNote returns a note as a block quote of at most limit bytes, and how many of its
// lines were cut.
func quoteNote(note string, limit int) (quote string, cut int) {
	if len(note) > maxRawNote {
		note = note[:maxRawNote]
	}
	note = text.Plain(entity().ReplaceAllStringFunc(note, html.UnescapeString))
	lines := strings.Split(strings.Trim(Defuse(plainMarkdown(note)), "\n"), "\n")
	var b strings.Builder
	empty := true
	for i, line := range lines {
		line = strings.TrimRight(line, " \t")
		if line == "" && empty {
			continue // one is enough
		}
		empty = line == ""
		if len(line) > maxNoteLine {
			line = strings.ToValidUTF8(line[:maxNoteLine], "") + "…"
		}
		line = strings.TrimRight("> "+line, " ") + "\n"
		if b.Len()+len(line) > limit {
			return endQuote(b.String()), len(lines) - i
		}
		b.WriteString(line)
	}
	return endQuote(b.String()), 0
}

func endQuote(quote string) string {
	if quote == "" {
		return ""
	}
	return quote + "\n"
}

// PageURL returns a URL in a form that cannot end a link, "" for no valid URL.
func PageURL(page string) string {
	u, err := url.Parse(page)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || len(page) > maxPage {
		return ""
	}
	page = strings.ReplaceAll(u.String(), "@", "%40")
	if page != Defuse(page) || strings.ContainsFunc(page, func(r rune) bool {
		return r <= ' ' || r >= utf8.RuneSelf || strings.ContainsRune("()<>[]\\`\"'|*", r)
	}) {
		return ""
	}
	return page
}

// zeroWidth is a zero-width space: it ends a name, and is invisible.
const zeroWidth = "\u200b"

// What a forge would act on, anywhere in a text. The zero-width space goes between $1 and
// $2. A backslash is Markdown's escape.
var liveForms = []func() *regexp.Regexp{
	lazyregexp.New(`(@)()`),                               // mentions
	lazyregexp.New(`(#|!|&)([0-9])`),                      // issues; pull requests of Forgejo; merge requests and epics of GitLab
	lazyregexp.New(`(?i)(\bG[HL]\\?-)([0-9])`),            // issues of GitHub, of GitLab
	lazyregexp.New(`(?i)(\[(?:issue|work_item|epic))(:)`), // of GitLab, in another form
	lazyregexp.New(`(?i)((?:issues?|pulls?|merge_requests|work_items|epics|discussions)[/\\]+)([0-9])`), // their URLs
	lazyregexp.New(`(<)([a-zA-Z/!?])`),                          // HTML
	lazyregexp.New(`(!)(\[)`),                                   // images
	lazyregexp.New(`(&)(#[0-9a-zA-Z]+;|[a-zA-Z][a-zA-Z0-9]*;)`), // any of these in another spelling
}

// Defuse makes outside text harmless in Markdown on a forge: it has no mention, reference,
// HTML or image. Other Markdown stays.
func Defuse(text string) string {
	for _, form := range liveForms {
		text = form().ReplaceAllString(text, "$1"+zeroWidth+"$2")
	}
	return text
}

var (
	entity      = lazyregexp.New(`&(?:#[0-9a-zA-Z]+|[a-zA-Z][a-zA-Z0-9]*);`)
	htmlComment = lazyregexp.New(`(?s)<!--.*?(?:-->|\z)`)
	// Inline code stays; HTML is removed.
	codeOrTag     = lazyregexp.New("`[^`]*`" + `|</?[a-zA-Z][a-zA-Z0-9-]*(?:\s[^<>]*)?/?>`)
	autolink      = lazyregexp.New(`<(https?://[^\s<>]*)>`)
	markdownImage = lazyregexp.New(`!\[([^\[\]]*)\](?:\([^()]*\)|\[[^\[\]]*\])`)
	AnyURL        = lazyregexp.New(`(?i)https?://[^\s<>()\[\]"'` + "`" + `]+`)

	issuePath = `https?://[^\s/()<>\[\]]+/([\w.-]+(?:/[\w.-]+)*?)(?:/-)?/(?:issues|pulls?|merge_requests|work_items|epics|discussions)/([0-9]+)(?:[/?#][^\s<>()\[\]"'` + "`" + `]*[\w/=-])?`
	issueLink = lazyregexp.New(`(?i)\[([^\[\]]*)\]\(\s*` + issuePath + `[^()]*\)`)
	issueURL  = lazyregexp.New(`(?i)` + issuePath)
)

// plainMarkdown removes HTML outside of code, images and links to issues. It is only for
// readability; Defuse makes the text harmless.
func plainMarkdown(text string) string {
	var lines []string
	fence := ""
	for line := range strings.SplitSeq(htmlComment().ReplaceAllString(text, ""), "\n") {
		switch start := strings.TrimLeft(line, " \t>"); {
		case fence != "":
			if strings.HasPrefix(start, fence) {
				fence = ""
			}
		case strings.HasPrefix(start, "```"), strings.HasPrefix(start, "~~~"):
			fence = start[:3]
		default:
			line = plainMarkdownLine(line)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func plainMarkdownLine(line string) string {
	line = autolink().ReplaceAllString(line, "$1")
	line = codeOrTag().ReplaceAllStringFunc(line, func(found string) string {
		if found[0] == '<' {
			return ""
		}
		return found
	})
	line = markdownImage().ReplaceAllString(line, "$1")
	line = issueLink().ReplaceAllString(line, "$1")
	line = issueURL().ReplaceAllString(line, "$1#$2")
	return AnyURL().ReplaceAllStringFunc(line, func(found string) string {
		return strings.ReplaceAll(found, "@", "%40")
	})
}
