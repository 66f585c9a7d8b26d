package nix

import (
	"bytes"
	"encoding/json"
	"errors"
	"regexp"
	"strings"

	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/text"
)

// LogKind says what a [LogEvent] is about.
type LogKind int

const (
	LogMessage      LogKind = iota // Level, Text; Drv if an error names a derivation
	LogBuildStarted                // Drv
	LogBuildStopped                // Drv; it may have failed, see LogBuildFailed
	LogBuildLine                   // Drv, Text: one line of the builder's output
	LogBuildPhase                  // Drv, Text: the name of the phase, e.g. buildPhase
	LogBuildFailed                 // Drv, Text: it failed itself, not one of its dependencies; Failure from [Nix.Realise]
	LogBuilds                      // Progress: derivations
	LogCopies                      // Progress: store paths copied or downloaded
	LogDownloads                   // Progress: bytes, compressed
	LogCopied                      // outputs were copied here from the store of a builder
	LogMissing                     // Missing: what Nix will build and fetch, once, before it begins
)

// LogLevel is the verbosity of a message, Nix's own numbers.
type LogLevel int

const (
	LogError LogLevel = iota
	LogWarning
	LogNotice
	LogInfo // what Nix prints by default
	LogTalkative
	LogChatty
	LogDebug
	LogVomit
)

// LogProgress is the progress of a whole Nix process. Expected grows and shrinks while Nix
// plans its work.
type LogProgress struct {
	Done, Expected, Running, Failed int64
}

// LogEvent is one parsed line of Nix's log. Text is valid UTF-8 without escape sequences
// and control characters, except newlines and tabs.
type LogEvent struct {
	Kind     LogKind
	Drv      string // absolute path of the derivation, "" if unknown
	Level    LogLevel
	Text     string
	Progress LogProgress
	Missing  *Missing
	Failure  *BuildFailure
}

// Activity and result types, from Nix's src/libutil/logging.hh. They are the same since
// Nix 2.0 and in Lix; later versions only add some.
const (
	actFileTransfer  = 101
	actCopyPaths     = 103
	actBuilds        = 104
	actBuild         = 105
	actPostBuildHook = 110

	resBuildLogLine     = 101
	resSetPhase         = 104
	resProgress         = 105
	resSetExpected      = 106
	resPostBuildLogLine = 107
)

// A LogParser parses the stderr of one Nix process with --log-format internal-json. The
// zero value is ready to use. It is not safe for concurrent use.
type LogParser struct {
	activities map[uint64]*activity
	totals     map[int]*total
}

// An activity is between "start" and "stop" in Nix's log.
type activity struct {
	kind     int
	drv      string        // of actBuild, actPostBuildHook
	progress LogProgress   // its last resProgress
	expected map[int]int64 // its last resSetExpected, by kind of activity
}

// A total sums the progress of all activities of one kind, like Nix's own progress bar
// (src/libmain/progress-bar.cc).
type total struct {
	sum      LogProgress // the sum over all activities; Done, Expected and Failed of ended ones stay
	expected int64       // announced by resSetExpected
	reported LogProgress
}

func (t *total) progress() LogProgress {
	p := t.sum
	p.Expected = max(p.Expected, t.expected)
	return p
}

// logLine has the fields of all actions. Fields' elements are strings and
// integers, and objects in later versions of Nix.
type logLine struct {
	Action string            `json:"action"`
	ID     uint64            `json:"id"`
	Level  LogLevel          `json:"level"`
	Type   int               `json:"type"`
	Text   string            `json:"text"`
	Msg    string            `json:"msg"`
	Fields []json.RawMessage `json:"fields"`
}

// Line parses one line of stderr, with or without its line end. It returns false for an
// irrelevant line. A line that is not part of the JSON log (from a child with the same
// stderr, or from Nix before its logger starts) is a message.
func (p *LogParser) Line(line []byte) (LogEvent, bool) {
	entry, isLog := bytes.CutPrefix(line, []byte("@nix "))
	if !isLog {
		return message(LogInfo, string(line))
	}
	var l logLine
	err := json.Unmarshal(entry, &l)
	// A field of an unexpected type keeps its zero value; the others are still decoded.
	var typeErr *json.UnmarshalTypeError
	if err != nil && !errors.As(err, &typeErr) {
		return message(LogInfo, string(line))
	}
	switch l.Action {
	case "msg":
		return message(l.Level, l.Msg)
	case "start":
		return p.start(l)
	case "stop":
		return p.stop(l)
	case "result":
		return p.result(l)
	}
	return LogEvent{}, false
}

func (p *LogParser) start(l logLine) (LogEvent, bool) {
	a := &activity{kind: l.Type}
	if a.kind == actBuild || a.kind == actPostBuildHook {
		a.drv = text.Output(l.stringField(0))
	}
	if p.activities == nil {
		p.activities = map[uint64]*activity{}
	}
	p.activities[l.ID] = a
	return LogEvent{Kind: LogBuildStarted, Drv: a.drv}, a.kind == actBuild
}

func (p *LogParser) stop(l logLine) (LogEvent, bool) {
	a := p.activities[l.ID]
	if a == nil {
		return LogEvent{}, false
	}
	delete(p.activities, l.ID)
	for kind, n := range a.expected {
		p.total(kind).expected -= n
	}
	// What it has done stays in the sum; what it still expected is removed.
	t := p.total(a.kind)
	t.sum.Expected += a.progress.Done - a.progress.Expected
	t.sum.Running -= a.progress.Running
	return LogEvent{Kind: LogBuildStopped, Drv: a.drv}, a.kind == actBuild
}

func (p *LogParser) result(l logLine) (LogEvent, bool) {
	a := p.activities[l.ID]
	if a == nil {
		a = &activity{} // the activity started before the log
	}
	switch l.Type {
	case resBuildLogLine, resPostBuildLogLine:
		return LogEvent{Kind: LogBuildLine, Drv: a.drv, Level: LogInfo, Text: text.Output(l.stringField(0))}, true
	case resSetPhase:
		return LogEvent{Kind: LogBuildPhase, Drv: a.drv, Level: LogInfo, Text: text.Output(l.stringField(0))}, true
	case resProgress:
		now := LogProgress{Done: l.intField(0), Expected: l.intField(1), Running: l.intField(2), Failed: l.intField(3)}
		t := p.total(a.kind)
		t.sum.Done += now.Done - a.progress.Done
		t.sum.Expected += now.Expected - a.progress.Expected
		t.sum.Running += now.Running - a.progress.Running
		t.sum.Failed += now.Failed - a.progress.Failed
		a.progress = now
		return p.report(a.kind)
	case resSetExpected:
		kind, n := int(l.intField(0)), l.intField(1)
		if a.expected == nil {
			a.expected = map[int]int64{}
		}
		p.total(kind).expected += n - a.expected[kind]
		a.expected[kind] = n
		return p.report(kind)
	}
	return LogEvent{}, false
}

func (p *LogParser) total(kind int) *total {
	t := p.totals[kind]
	if t == nil {
		if p.totals == nil {
			p.totals = map[int]*total{}
		}
		t = &total{}
		p.totals[kind] = t
	}
	return t
}

// report returns the total of a kind of activity if it has changed: Nix repeats its
// counters many times a second.
func (p *LogParser) report(kind int) (LogEvent, bool) {
	var k LogKind
	switch kind {
	case actBuilds:
		k = LogBuilds
	case actCopyPaths:
		k = LogCopies
	case actFileTransfer:
		k = LogDownloads
	default:
		return LogEvent{}, false
	}
	t := p.total(kind)
	now := t.progress()
	if now == t.reported {
		return LogEvent{}, false
	}
	t.reported = now
	return LogEvent{Kind: k, Level: LogInfo, Progress: now}, true
}

func (l logLine) stringField(i int) string {
	var s string
	if i < len(l.Fields) {
		_ = json.Unmarshal(l.Fields[i], &s) // another type reads as ""
	}
	return s
}

func (l logLine) intField(i int) int64 {
	var n int64
	if i < len(l.Fields) {
		_ = json.Unmarshal(l.Fields[i], &n) // another type reads as 0
	}
	return n
}

var (
	// Both prefixes together mark an error that Nix reports as a warning.
	levelPrefix = lazyregexp.New(`^(error|warning):\s+(?:error:\s+)?`)
	// Later versions wrap the error of a build in one of the whole request.
	requestPrefix = lazyregexp.New(`^build of '[^'\n]+' failed: (?:error: )?`)

	// Nix 2.4 to 2.29; Nix 2.30 and later; a missing platform or feature.
	ownFailures = []func() *regexp.Regexp{
		lazyregexp.New(`^builder for '(/[^'\n]+\.drv)' failed`),
		lazyregexp.New(`^Cannot build '(/[^'\n]+\.drv)'\.`),
		lazyregexp.New(`^building of '(/[^'\n]+\.drv)[^'\n]*'(?: from \.drv file)? timed out`),
		lazyregexp.New(`^hash mismatch in fixed-output derivation '(/[^'\n]+\.drv)'`),
		lazyregexp.New(`^cycle detected in (?:the references of .* )?build of '(/[^'\n]+\.drv)'`),
		lazyregexp.New(`^some substitutes for the outputs of derivation '(/[^'\n]+\.drv)' failed`),
		lazyregexp.New(`^derivation '(/[^'\n]+\.drv)' has '__noChroot' set`),
		lazyregexp.New(`^a '[^'\n]*' with features \{[^}\n]*\} is required to build '(/[^'\n]+\.drv)'`),
	}
	dependencyFailures = []func() *regexp.Regexp{
		lazyregexp.New(`^\d+ dependenc(?:y|ies) of derivation '(/[^'\n]+\.drv)' failed to build`),
		lazyregexp.New(`^Cannot build '(/[^'\n]+\.drv)'\.\s+Reason: \d+ dependenc(?:y|ies) failed`),
	}
)

// message makes an event of a message. The text can correct the level: Nix writes some
// warnings with the level of errors, and some output before its logger starts.
func message(level LogLevel, printed string) (LogEvent, bool) {
	printed = strings.TrimSpace(text.Output(printed))
	if m := levelPrefix().FindStringSubmatch(printed); m != nil {
		printed = printed[len(m[0]):]
		switch {
		case m[1] == "warning":
			level = LogWarning
		case level > LogWarning:
			level = LogError
		}
	}
	e := LogEvent{Kind: LogMessage, Level: level, Text: printed}
	if level == LogError {
		reason := strings.TrimPrefix(printed, requestPrefix().FindString(printed))
		if e.Drv = firstGroup(dependencyFailures, reason); e.Drv == "" {
			if e.Drv = firstGroup(ownFailures, reason); e.Drv != "" {
				e.Kind = LogBuildFailed
			}
		}
	}
	return e, printed != ""
}

func firstGroup(patterns []func() *regexp.Regexp, s string) string {
	for _, p := range patterns {
		if m := p().FindStringSubmatch(s); m != nil {
			return m[1]
		}
	}
	return ""
}

// HashMismatch parses the hash mismatch error of a fixed-output derivation: its path, the
// wanted and the actual hash, as Nix writes them (SRI: sha256-BASE64=). It understands
// Nix 2.4 to 2.35 and Lix, with or without colours, alone or in a longer output, and
// returns the first mismatch.
func HashMismatch(log string) (drv, wanted, got string, ok bool) {
	for line := range strings.Lines(text.Output(log)) {
		line = strings.TrimSpace(line)
		if _, rest, found := strings.Cut(line, "hash mismatch in fixed-output derivation '"); found {
			drv, _, _ = strings.Cut(rest, "'")
			wanted, got = "", ""
			continue
		}
		if drv == "" {
			continue
		}
		// Lix prints "likely URL:" before, "expected path:" and "got path:" after.
		if v, found := strings.CutPrefix(line, "specified:"); found {
			wanted = strings.TrimSpace(v)
		} else if v, found := strings.CutPrefix(line, "got:"); found {
			got = strings.TrimSpace(v)
		}
		if wanted != "" && got != "" {
			return drv, wanted, got, true
		}
	}
	return "", "", "", false
}
