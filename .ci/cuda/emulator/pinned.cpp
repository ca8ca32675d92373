#include "pinned.h"
#include <cstdlib>
#include <cstring>
#include <list>
#include <set>
#include <vector>

namespace emu {
namespace {

std::map<const char *, size_t> pinned; // bytes of each, by where it begins

struct Copy {
    std::set<const void *> streams; // in which work finds it made: the one that it was asked for in, and those ordered behind
    unsigned long number;
    Address to;
    const char *from;
    std::vector<char> asked_for; // what was to be copied when the program said so
    bool made = false;
};
std::list<Copy> copies; // those that the host has not waited for
unsigned long asked;

void make(Copy &copy) {
    if (memcmp(copy.from, copy.asked_for.data(), copy.asked_for.size())) wrong("page-locked memory was overwritten before its copy was done");
    if (!copy.made) memcpy(reinterpret_cast<void *>(copy.to), copy.from, copy.asked_for.size());
    copy.made = true;
}

bool is_before(const Copy &copy, const Moment &moment) { return copy.streams.count(moment.stream) && copy.number < moment.copies; }

bool overlap(const char *a, size_t a_bytes, const char *b, size_t b_bytes) { return a < b + b_bytes && b < a + a_bytes; }

} // namespace

Moment now_in(const void *stream) { return {stream, asked}; }
void settle(const void *stream) {
    for (auto &copy : copies)
        if (!copy.made && copy.streams.count(stream)) make(copy);
}
void order_behind(const Moment &moment, const void *stream) {
    for (auto &copy : copies)
        if (is_before(copy, moment)) copy.streams.insert(stream);
}
void host_waited(const Moment &moment) {
    copies.remove_if([&](Copy &copy) {
        if (!is_before(copy, moment)) return false;
        make(copy);
        return true;
    });
}
void host_waited_for_all() {
    for (auto &copy : copies) make(copy);
    copies.clear();
}

bool is_pinned(const void *from, size_t bytes) {
    auto next = pinned.upper_bound(static_cast<const char *>(from));
    if (next == pinned.begin()) return false;
    auto &[begin, size] = *std::prev(next);
    return static_cast<const char *>(from) + bytes <= begin + size;
}

void copy_later(const void *stream, Address to, const void *from, size_t bytes) {
    auto *at = static_cast<const char *>(from);
    copies.push_back({{stream}, asked++, to, at, {at, at + bytes}});
}

void *take_pinned(size_t bytes) {
    void *at = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
    if (at) pinned[static_cast<char *>(at)] = bytes;
    return at;
}

bool give_pinned(void *at) {
    auto found = pinned.find(static_cast<char *>(at));
    if (found == pinned.end()) return false;
    for (auto &copy : copies)
        if (overlap(copy.from, copy.asked_for.size(), found->first, found->second)) wrong("page-locked memory was freed before its copy was done");
    pinned.erase(found);
    free(at);
    return true;
}

void check_no_copy_into(const Allocation &a) {
    for (auto &copy : copies)
        if (!copy.made && overlap(reinterpret_cast<const char *>(copy.to), copy.asked_for.size(), reinterpret_cast<const char *>(a.begin), a.bytes))
            wrong("memory was freed before a copy into it was done");
}

} // namespace emu
