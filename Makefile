# The agentrux toolkit: what is built from what.
#
#   make            programs into build/bin
#   make check      all tests (bats needs to be there; scripts/test installs it)
#   make lint       layers, layout, shell
#   make check-openclaw VERSION=2026.9.6   the adapter with a real OpenClaw, by npm
#   make check-mcp  agentrux-mcp with the official client, from npm
#   make soak       EVENTS=1000 of them through a drain that is killed all the time,
#                   in either dialect
#   make bench      speed, side by side with curl and jq
#   make install    PREFIX=/usr/local DESTDIR=
#   make SAN=address,undefined …   the same under sanitizers, in a build of its own

VERSION := 0.1.0
PREFIX ?= /usr/local
CC ?= cc
AR ?= ar

comma := ,
BUILD ?= build$(if $(SAN),-$(subst $(comma),-,$(SAN)))

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes \
	-Wmissing-prototypes -Wvla -Wformat=2 -Wundef
HARDEN := -fstack-protector-strong -fPIE -fno-common -D_FORTIFY_SOURCE=2
HARDEN_LD := -pie -Wl,-z,relro,-z,now,-z,noexecstack
ifdef SAN
SANFLAGS := -fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer
HARDEN := -fno-common
HARDEN_LD :=
endif

CFLAGS ?= -O2 -g
override CFLAGS += -std=c11 $(WARN) $(if $(CI),-Werror) $(HARDEN) $(SANFLAGS)
override CPPFLAGS += -D_GNU_SOURCE -DAGENTRUX_VERSION='"$(VERSION)"' -Ilib
override LDFLAGS += $(HARDEN_LD) $(SANFLAGS) -Wl,--as-needed

# Foreign libraries; --as-needed leaves out what a program does not use.
LIBS := -lcurl -lcjson -lsqlite3 -lcrypto -lmagic -lpcre2-8 -lpthread
HUB_LIBS := -lmicrohttpd -lcjson -lsqlite3 -lcrypto -lpthread

BASE := err buf io opt stop backoff
LIB_SRC := $(wildcard lib/*.c)
LIB_OBJ := $(LIB_SRC:%.c=$(BUILD)/%.o)
BASE_OBJ := $(BASE:%=$(BUILD)/lib/%.o)
HUB_OBJ := $(patsubst %.c,$(BUILD)/%.o,$(wildcard cmd/hub/*.c))
PROGRAMS := $(patsubst cmd/%.c,$(BUILD)/bin/%,$(wildcard cmd/*.c)) \
	$(if $(HUB_OBJ),$(BUILD)/bin/agentrux-hub)
SCRIPTS := agentrux $(notdir $(wildcard scripts/agentrux-*))
SCRIPT_BIN := $(SCRIPTS:%=$(BUILD)/bin/%)
SKILL := $(BUILD)/share/agentrux/skill.md
UNIT := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,\
	$(wildcard tests/unit/*.c))
TEST_TOOLS := $(BUILD)/tests/faults $(BUILD)/tests/abort-at.so \
	$(BUILD)/tests/pretend.so $(BUILD)/tests/wrong-clock.so \
	$(BUILD)/tests/peak

.PHONY: soak all check check-openclaw check-mcp unit lint bench fuzz install clean test-tools
.SECONDARY:

all: $(PROGRAMS) $(SCRIPT_BIN) $(SKILL)

$(BUILD)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/libagentrux.a: $(LIB_OBJ)
	@rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/bin/agentrux-hub: $(HUB_OBJ) $(BASE_OBJ)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(HUB_LIBS)

$(BUILD)/bin/%: $(BUILD)/cmd/%.o $(BUILD)/libagentrux.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

$(SCRIPT_BIN): $(BUILD)/bin/%: scripts/%
	@mkdir -p $(@D)
	install -m 755 $< $@

$(SKILL): scripts/skill.md
	@mkdir -p $(@D)
	install -m 644 $< $@

# Tests: unit tests link the library; the fault server and the preload shims
# share nothing with it but the base layer.
$(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(BUILD)/libagentrux.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -lcmocka $(LIBS)

$(BUILD)/tests/faults: $(BUILD)/tests/faults.o $(BASE_OBJ)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -lpthread

$(BUILD)/tests/peak: $(BUILD)/tests/peak.o
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^

$(BUILD)/tests/%.so: tests/%.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -O2 -std=c11 $(WARN) -fPIC -shared -o $@ $< -ldl

test-tools: $(UNIT) $(TEST_TOOLS)

check: all test-tools
	tests/run $(BUILD)

# VERSION is OpenClaw's here, and the programs keep their own.
check-openclaw:
	MAKEFLAGS= $(MAKE) BUILD=$(BUILD) all
	tests/openclaw/check \
		$(if $(filter command%,$(origin VERSION)),$(VERSION),2026.9.6) $(BUILD)

check-mcp: all
	tests/check-mcp $(BUILD)

unit: $(UNIT)
	@for t in $(UNIT); do $$t || exit 1; done

lint:
	tests/lint/run

# What the programs are measured against: libcurl alone; and with what.
$(BUILD)/tests/bench-curl: $(BUILD)/tests/bench-curl.o
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -lcurl -lcjson

$(BUILD)/tests/bench-hint: $(BUILD)/tests/bench-hint.o
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^

$(BUILD)/tests/bench-pages: $(BUILD)/tests/bench-pages.o
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -lpthread

bench: all $(BUILD)/tests/bench-curl $(BUILD)/tests/bench-hint \
		$(BUILD)/tests/bench-pages $(BUILD)/tests/faults
	tests/bench $(BUILD)

soak: all
	for dialect in classic oauth; do \
		AGENTRUX_TEST_DIALECT=$$dialect AGENTRUX_SOAK=$(or $(EVENTS),1000) \
		AGENTRUX_BUILD=$(BUILD) bats --show-output-of-passing-tests \
			-f 'kill -9 every' tests/drain.bats || exit 1; \
	done

fuzz: ; tests/fuzz/run $(or $(SECONDS),60)

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1 \
		$(DESTDIR)$(PREFIX)/share/man/man5 \
		$(DESTDIR)$(PREFIX)/share/man/man7 \
		$(DESTDIR)$(PREFIX)/share/agentrux \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions \
		$(DESTDIR)$(PREFIX)/share/zsh/site-functions \
		$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
	install -m 755 $(PROGRAMS) $(SCRIPT_BIN) $(DESTDIR)$(PREFIX)/bin
	install -m 644 $(SKILL) $(DESTDIR)$(PREFIX)/share/agentrux
	for s in 1 5 7; do install -m 644 man/*.$$s \
		$(DESTDIR)$(PREFIX)/share/man/man$$s || exit 1; done
	install -m 644 completions/agentrux.bash \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/agentrux
	for p in $(filter-out agentrux agentrux-openclaw-%,\
		$(notdir $(PROGRAMS) $(SCRIPT_BIN))); do \
		ln -sf agentrux $(DESTDIR)$(PREFIX)/share/bash-completion/completions/$$p \
		&& ln -sf agentrux.fish \
		$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/$$p.fish \
		|| exit 1; done
	install -m 644 completions/_agentrux \
		$(DESTDIR)$(PREFIX)/share/zsh/site-functions
	install -m 644 completions/agentrux.fish \
		$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d

clean:
	rm -rf build build-*

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
