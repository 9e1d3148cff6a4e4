#!/usr/bin/env python3
"""Opens a page of grkan report in Chromium: report_browser_test.py PAGE.html

The browser is driven by the WebDriver protocol, JSON over HTTP, which needs no library.
Exit 0: all held; 1: something did not; 77: skipped, no browser here.
"""
import itertools
import json
import math
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

ELEMENT = 'element-6066-11e4-a52e-4f735466cecf'
TAB, ENTER, SPACE = '\ue004', '\ue007', ' '


class Browser:
    """A headless Chromium; every answer of the driver that is an error raises."""

    def __init__(self, folder):
        self.driver = subprocess.Popen(['chromedriver', '--port=0'], stdout=subprocess.PIPE, text=True)
        started = next(line for line in self.driver.stdout if 'started successfully' in line)
        self.base = 'http://127.0.0.1:' + re.search(r'port (\d+)', started)[1]
        arguments = ['--headless=new', '--disable-gpu', '--disable-dev-shm-usage', f'--user-data-dir={folder}']
        if os.geteuid() == 0:
            arguments.append('--no-sandbox')
        always = {'browserName': 'chrome',
                  'goog:loggingPrefs': {'browser': 'ALL', 'performance': 'ALL'},
                  'goog:chromeOptions': {'args': arguments}}
        session = self.call('POST', '/session', {'capabilities': {'alwaysMatch': always}})
        self.base += '/session/' + session['sessionId']

    def close(self):
        try:
            self.call('DELETE', '')
        finally:
            self.driver.terminate()
            self.driver.wait()

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {'Content-Type': 'application/json'}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)['value']
        except urllib.error.HTTPError as error:
            raise RuntimeError(f'{path}: {error.read().decode()}') from None

    def open(self, path):
        self.call('POST', '/url', {'url': pathlib.Path(path).resolve().as_uri()})
        self.settle()

    def run(self, script, *arguments):
        return self.call('POST', '/execute/sync', {'script': script, 'args': arguments})

    def settle(self):
        """Until what was drawn for this size is there."""
        self.call('POST', '/execute/async', {
            'script': 'requestAnimationFrame(() => requestAnimationFrame(arguments[0]))', 'args': []})

    def devtools(self, command, **parameters):
        return self.call('POST', '/goog/cdp/execute', {'cmd': command, 'params': parameters})

    def look(self, width, scheme='light', media='screen'):
        self.devtools('Emulation.setDeviceMetricsOverride', width=width, height=900, deviceScaleFactor=1, mobile=False)
        self.devtools('Emulation.setEmulatedMedia', media=media,
                      features=[{'name': 'prefers-color-scheme', 'value': scheme}])
        self.settle()

    def click(self, element):
        self.call('POST', f'/element/{element[ELEMENT]}/click', {})

    def press(self, key):
        keys = [{'type': 'keyDown', 'value': key}, {'type': 'keyUp', 'value': key}]
        self.call('POST', '/actions', {'actions': [{'type': 'key', 'id': 'keys', 'actions': keys}]})

    def console(self):
        return [entry['message'] for entry in self.call('POST', '/se/log', {'type': 'browser'})
                if entry['level'] in ('SEVERE', 'WARNING')]

    def requests(self):
        urls = []
        for entry in self.call('POST', '/se/log', {'type': 'performance'}):
            message = json.loads(entry['message'])['message']
            if message['method'] == 'Network.requestWillBeSent':
                urls.append(message['params']['request']['url'])
        return urls


def outside(urls):
    return [url for url in urls if not url.startswith(('file:', 'data:'))]


def nanoseconds(text):
    """'80.1 µs' as a number; None for an empty cell."""
    if not text:
        return None
    value, unit = text.split()
    return float(value) * {'s': 1e9, 'ms': 1e6, 'µs': 1e3, 'ns': 1}[unit]


def hold(condition, *told):
    if not condition:
        raise AssertionError(' '.join(str(part) for part in told))


TABLE_OF = '''return [...document.querySelectorAll('table')].find(
    (table) => table.caption.textContent.includes(arguments[0]))'''
HEAD_OF = '''return [...arguments[0].tHead.rows[0].cells].find(
    (cell) => cell.textContent === arguments[1]).firstChild'''
COLUMN_OF = '''const [table, name] = arguments;
    const at = [...table.tHead.rows[0].cells].findIndex((cell) => cell.textContent === name);
    return [...table.tBodies[0].rows].map((row) => row.cells[at].textContent)'''
SORT_OF = '''return [...arguments[0].tHead.rows[0].cells].map((cell) => cell.getAttribute('aria-sort'))'''


def the_checks_see_what_they_look_for(browser, page, folder):
    """A page that does what ours must not."""
    bad = pathlib.Path(folder) / 'bad.html'
    bad.write_text('<body style="width: 2000px"><img src="http://127.0.0.1:9/x.png"><script>nothing.here</script>')
    browser.open(bad)
    urls = outside(browser.requests())
    hold('http://127.0.0.1:9/x.png' in urls, 'the outside request was not seen:', urls)
    said = browser.console()
    hold(any('nothing' in line for line in said), 'the console error was not seen:', said)
    browser.look(360)
    hold(browser.run('return document.documentElement.scrollWidth') > 360, 'the overflow was not seen')


def it_opens_quietly(browser, page, folder):
    browser.look(1200)
    browser.open(page)
    browser.run("for (const task of document.querySelectorAll('details')) task.open = true")
    browser.settle()
    said = browser.console()
    hold(said == [], 'console:', said)
    urls = browser.requests()
    hold(len(urls) >= 1 and outside(urls) == [], 'requests:', urls)
    hold(browser.run("return document.querySelectorAll('details').length") == 2, 'two tasks')


def hostile_text_is_text(browser, page, folder):
    hold(browser.run('return document.title') == 'Tunings of grkan', 'the title was changed')
    hold(browser.run("return document.querySelectorAll('img, iframe, object, link').length") == 0, 'an element came in')
    hold(browser.run("return document.querySelectorAll('script').length") == 2, 'a script came in')
    text = browser.run('return document.body.innerText')
    hold(text.count("</script><script>document.title='owned'</script>") >= 2, 'device and reason are shown as text')


def tables_sort_by_click_and_key(browser, page, folder):
    table = browser.run(TABLE_OF, 'candidates at 2,000 rows')
    more = browser.run("return arguments[0].closest('div').parentNode.querySelector('button.more')", table)
    hold(len(browser.run(COLUMN_OF, table, 'median')) == 12, 'twelve rows at first')
    browser.click(more)
    hold(len(browser.run(COLUMN_OF, table, 'median')) > 40, 'all rows')

    def in_order(descending):
        times = [nanoseconds(text) for text in browser.run(COLUMN_OF, table, 'median')]
        known = [time for time in times if time is not None]
        hold(known == sorted(known, reverse=descending), 'order:', times)
        hold(times[len(known):] == [None] * (len(times) - len(known)) and len(times) > len(known),
             'what has no time comes last')
        states = [state for state in browser.run(SORT_OF, table) if state]
        hold(states == ['descending' if descending else 'ascending'], 'aria-sort:', states)

    in_order(False)
    head = browser.run(HEAD_OF, table, 'median')
    browser.click(head)
    in_order(True)
    browser.click(head)
    in_order(False)
    # By keyboard: from the first heading to the second, then Enter and Space.
    browser.run('arguments[0].focus()', browser.run(HEAD_OF, table, 'schedule'))
    browser.press(TAB)
    hold(browser.run('return document.activeElement.textContent') == 'median', 'Tab goes to the next heading')
    browser.press(ENTER)
    in_order(True)
    browser.press(SPACE)
    in_order(False)
    browser.click(browser.run(HEAD_OF, table, 'status'))
    statuses = browser.run(COLUMN_OF, table, 'status')
    hold(statuses == sorted(statuses) and len(set(statuses)) == 3, 'words sort too:', set(statuses))
    why = browser.run(COLUMN_OF, table, 'why')
    hold(any('owned' in text for text in why) and 'no room' in why, 'reasons of failures')
    for caption, heads in browser.run('''return [...document.querySelectorAll('table')].map((table) => [
            table.caption.textContent, [...table.tHead.rows[0].cells].map((cell) => [cell.scope, cell.firstChild.tagName])])'''):
        hold(caption and all(head == ['col', 'BUTTON'] for head in heads), 'table:', caption, heads)


PLOTS = '''return [...document.querySelectorAll('figure svg')].map((svg) => ({
    name: svg.getAttribute('aria-label'), width: svg.getBoundingClientRect().width,
    x: svg.querySelector('.axis-label.x').textContent, y: svg.querySelector('.axis-label.y')?.textContent,
    xTicks: [...svg.querySelectorAll('text[y]')].filter((text) => !text.classList.length && text.getAttribute('text-anchor') !== 'end').length,
    yTicks: [...svg.querySelectorAll('text[text-anchor=end]:not([class])')].map(
        (text) => [Number(text.textContent), Number(text.getAttribute('y')) - 4]),
    floor: svg.querySelector('.floor') && Number(svg.querySelector('.floor').getAttribute('y1')),
    floorText: svg.querySelector('.floor-label')?.textContent,
    marks: ['winner-mark', 'default-mark'].map((name) => {
      const mark = svg.querySelector('.' + name);
      if (!mark) return null;
      const box = mark.getBBox();
      return [mark.textContent, box.y + box.height / 2];
    }),
    beyond: [...svg.querySelectorAll('.beyond')].map((mark) => mark.textContent),
    points: svg.querySelectorAll('.candidate').length}))'''


def place_of(time, plot):
    """Where a time lies on the axis of a plot, by its ticks."""
    factor = {'s': 1e9, 'ms': 1e6, 'µs': 1e3, 'ns': 1}[re.match(r'time, (\S+)', plot['y'])[1]]
    scale = math.log if 'log scale' in plot['y'] else float
    (low, low_y), (high, high_y) = plot['yTicks'][0], plot['yTicks'][-1]
    share = (scale(time / factor) - scale(low)) / (scale(high) - scale(low))
    return low_y + share * (high_y - low_y)


def plots_have_axes_and_tell_the_truth(browser, page, folder):
    plots = browser.run(PLOTS)
    timed = [plot for plot in plots if plot['y']]
    ranks = [plot for plot in timed if plot['x'].startswith('rank (candidates')]
    hold(len(ranks) >= 2, 'a plot by rank for each size')
    labels = {plot['x'] for plot in timed}
    for label in ('vector (lanes)', 'rows (rows of a block)', 'prefetch (blocks ahead)', 'stores'):
        hold(label in labels, 'no axis', label, 'in', labels)
    for plot in timed:
        hold(re.fullmatch(r'time, (s|ms|µs|ns)( \(log scale\))?', plot['y']), 'y label', plot['y'])
        hold(len(plot['yTicks']) >= 2 and plot['xTicks'] >= 1 and plot['name'], 'ticks of', plot)
        hold(plot['floor'] is not None, 'no floor in', plot['x'])
        for mark in plot['marks']:
            if mark:
                told = mark[0].splitlines()[1].replace(' (predicted)', '')
                expected = place_of(nanoseconds(told), plot)
                hold(abs(expected - mark[1]) < 1, mark, 'lies not at', expected, plot['yTicks'])
    for plot in ranks:
        told = re.fullmatch(r'memory floor (.*) \(.*\)', plot['floorText'])[1]
        hold(abs(place_of(nanoseconds(told), plot) - plot['floor']) < 1, 'floor at', plot['floor'])
    full = max(ranks, key=lambda plot: plot['points'])
    hold([mark.splitlines()[1] for mark in full['beyond']] == ['5.000 ms'], 'beyond the axis:', full['beyond'])
    hold(max(tick[0] for tick in full['yTicks']) < 1000, 'one slow point squeezes the rest:', full['yTicks'])
    hold(full['points'] >= 38 and all(full['marks']), 'points, winner and default:', full)


def the_parts_of_a_prediction_are_told(browser, page, folder):
    charts = browser.run('''return [...document.querySelectorAll('figure svg')].filter((svg) => svg.querySelector('.resource')).map((svg) => ({
        name: svg.getAttribute('aria-label'), x: svg.querySelector('.axis-label.x').textContent,
        names: [...svg.querySelectorAll('text[text-anchor=end]:not([class])')].map((text) => text.textContent),
        widths: [...svg.querySelectorAll('.resource')].map((bar) => bar.width.baseVal.value),
        left: svg.querySelector('.resource').x.baseVal.value,
        floor: svg.querySelector('.floor').x1.baseVal.value}))''')
    hold(len(charts) == 1, 'one prediction, one chart', len(charts))
    chart = charts[0]
    hold(chart['names'] == ['dram', 'l2', 'latency', 'issue', 'launch'], 'longest first, without nothing:', chart['names'])
    hold(chart['x'] == 'time, µs' and chart['name'].startswith('Predicted 8.000 µs, bound by dram. dram: 7.000'), chart)
    for width, part in zip(chart['widths'], (7000, 3100, 2500, 1200, 900)):
        hold(abs(width - chart['widths'][0] * part / 7000) < 1, 'a bar is as long as its time', chart['widths'])
    hold(abs(chart['floor'] - chart['left'] - chart['widths'][0] * 6 / 7) < 1, 'the floor lies at its time', chart)
    text = browser.run('return document.body.innerText')
    hold('Bound by dram; 75 % is the floor of DRAM; 300.0 ns of it' in text, 'the words')
    hold('Nine times in ten the time lies between 7.100 µs and 9.600 µs (far: ' in text, 'the interval')
    hold('It rests on assumed figures: clock_mhz: commonly reported' in text, 'the assumed figures')


def crossovers_are_told(browser, page, folder):
    text = browser.run('return document.body.innerText')
    hold('Crossovers: at 1,000 rows to B, at 2,001 rows to C.' in text, 'crossovers')
    strips = [plot for plot in browser.run(PLOTS) if plot['x'] == 'rows of a call (log scale)']
    hold(len(strips) == 3, 'a strip for each determinism and device', len(strips))
    names = [strip['name'] for strip in strips]
    hold('Rows: 1 to 999: A; 1,000 to 2,000: B; 2,001 to 40,000: C; 40,001 to 80,000: C.' in names, names)
    shown = browser.run("return [...document.querySelectorAll('.crossing')].map((text) => text.textContent)")
    hold(shown == ['1,000', '2,001'], 'drawn crossovers', shown)


def evidence_is_told(browser, page, folder):
    table = browser.run(TABLE_OF, 'tunings')
    evidence = set(browser.run(COLUMN_OF, table, 'evidence'))
    hold(evidence == {'measured', 'measured, disturbed', 'predicted, from executed counts'}, evidence)


def it_fits_a_narrow_window_and_paper(browser, page, folder):
    for width, scheme, media in itertools.chain(
            itertools.product((320, 360, 700, 1400), ('light', 'dark'), ('screen',)), [(700, 'light', 'print')]):
        browser.look(width, scheme, media)
        wide = browser.run('return document.documentElement.scrollWidth')
        hold(wide <= width, f'{media}, {width} px: the page is {wide} px wide')
        drawn = [plot['width'] for plot in browser.run(PLOTS)]
        hold(all(100 < plot <= width for plot in drawn), 'plots of', drawn, 'in', width)
    browser.look(360)
    tall = browser.run("return Math.min(...[...document.querySelectorAll('svg text')].map((text) => text.getBoundingClientRect().height))")
    hold(tall >= 11, 'text of the plots is', tall, 'px high')


def luminance(color):
    def linear(part):
        part /= 255
        return part / 12.92 if part <= .04045 else ((part + .055) / 1.055) ** 2.4
    red, green, blue = (linear(int(color[i:i + 2], 16)) for i in (1, 3, 5))
    return .2126 * red + .7152 * green + .0722 * blue


def text_can_be_read_in_light_and_dark(browser, page, folder):
    grounds = set()
    for scheme in ('light', 'dark'):
        browser.look(1200, scheme)
        style = browser.run('''const style = getComputedStyle(document.documentElement);
            return Object.fromEntries(arguments[0].map((name) => [name, style.getPropertyValue('--' + name).trim()]))''',
                            ['ground', 'raised', 'faint', 'ink', 'muted', 'winner', 'default', 'floor', 'wrong'])
        grounds.add(style['ground'])
        for ground, ink in itertools.product(('ground', 'raised', 'faint'), ('ink', 'muted', 'winner', 'default', 'floor', 'wrong')):
            low, high = sorted(luminance(style[name]) for name in (ground, ink))
            contrast = (high + .05) / (low + .05)
            hold(contrast >= 4.5, f'{scheme}: {ink} on {ground} has contrast {contrast:.2f}')
    hold(len(grounds) == 2, 'dark is not light')


def links_and_keys_open_a_task(browser, page, folder):
    browser.look(1200)
    browser.open(page)
    browser.run("for (const task of document.querySelectorAll('details')) task.open = false")
    browser.click(browser.run("return document.querySelector('a[href=\"#task-1\"]')"))
    browser.settle()
    hold(browser.run("return document.getElementById('task-1').open"), 'a link opens its task')
    browser.run("document.querySelector('#task-0 summary').focus()")
    browser.press(ENTER)
    hold(browser.run("return document.getElementById('task-0').open"), 'Enter opens a task')
    hold(browser.console() == [] and outside(browser.requests()) == [], 'quiet to the end')


TESTS = [the_checks_see_what_they_look_for, it_opens_quietly, hostile_text_is_text, tables_sort_by_click_and_key,
         plots_have_axes_and_tell_the_truth, the_parts_of_a_prediction_are_told, crossovers_are_told, evidence_is_told,
         it_fits_a_narrow_window_and_paper, text_can_be_read_in_light_and_dark, links_and_keys_open_a_task]


def main():
    for program in ('chromium', 'chromedriver'):
        if shutil.which(program) is None:
            print(f'SKIP: there is no {program} here; Debian has it in chromium and chromium-driver')
            return 77
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        browser = Browser(folder + '/profile')
        try:
            for test in TESTS:
                try:
                    test(browser, sys.argv[1], folder)
                    print('ok    ', test.__name__)
                except (AssertionError, RuntimeError, TypeError) as error:
                    failed += 1
                    print('FAILED', test.__name__, error, sep='\n  ')
        finally:
            browser.close()
    return 1 if failed else 0


sys.exit(main())
