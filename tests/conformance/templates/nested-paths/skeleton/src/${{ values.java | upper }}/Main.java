package ${{ values.java }};

class Main { String NAME = "${{ values.upper }}"; }
